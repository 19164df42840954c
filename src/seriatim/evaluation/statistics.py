"""Paired statistics, as pure functions of numbers."""

from collections.abc import Sequence
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
_DRAWN_AT_ONCE = 2_000_000  # clusters, in some 50 MB; MMLU's resamples are 140 million
_ROUNDING = 1e-12  # differences that cancel out do so to this
_Z = 1.959963984540054  # two-sided 95%


def wilson(successes: float, n: int) -> tuple[float, float]:
    """The 95% interval of a proportion (Wilson, 1927). Whole when n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, spread = successes / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def pass_at_k(n: int, right: int, k: int) -> float:
    """The probability that of k of n samples, of which `right` are right, one at least is right, without bias
    (Chen et al., arXiv 2107.03374)."""
    return 1 - comb(n - right, k) / comb(n, k)


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value of McNemar's test: `only_a` pairs were right in a alone, `only_b` in b alone."""
    discordant = only_a + only_b
    tail = sum(comb(discordant, k) for k in range(min(only_a, only_b) + 1))
    return float(min(1.0, 2 * tail / 2**discordant))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for being several (Holm, 1979), in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def bootstrap_means(values: Sequence[float], clusters: Sequence[str], seed: int = 0) -> NDArray[np.float64]:
    """Means of `values` over resamples of whole clusters, [RESAMPLES]: questions about one document are not
    independent of each other, so documents are drawn, with all their questions. Of one document alone nothing but its
    questions can be drawn."""
    if len(set(clusters)) == 1:
        clusters = [str(number) for number in range(len(values))]
    names = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    of = np.array([names[name] for name in clusters])
    sums = np.bincount(of, weights=np.asarray(values, dtype=np.float64))
    counts = np.bincount(of)
    random = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    rows = max(1, _DRAWN_AT_ONCE // len(names))
    for start in range(0, RESAMPLES, rows):
        drawn = random.integers(len(names), size=(min(rows, RESAMPLES - start), len(names)))
        means[start : start + rows] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def interval(means: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95% of bootstrap means."""
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def two_sided(means: NDArray[np.float64]) -> float:
    """The bootstrap's two-sided p-value of a mean difference of 0: twice the smaller share on either side, at least
    1 / (resamples + 1)."""
    smaller = min(int((means <= _ROUNDING).sum()), int((means >= -_ROUNDING).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(means) + 1))
