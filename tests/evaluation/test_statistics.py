"""Against published or hand-computed values."""

import tracemalloc
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.evaluation import statistics
from seriatim.evaluation.statistics import (
    RESAMPLES,
    bootstrap_means,
    holm,
    interval,
    mcnemar,
    pass_at_k,
    two_sided,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one() -> None:
    samples = [True, True, False, False, False]
    for k in range(1, 6):
        draws = list(combinations(samples, k))
        assert pass_at_k(5, 2, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    assert (pass_at_k(5, 0, 5), pass_at_k(5, 5, 1)) == (0, 1)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(2 * (1 + 10) / 1024)
    assert mcnemar(0, 6) == pytest.approx(2 / 64)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1, 1]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    in_order = [adjusted[index] for index in sorted(range(len(p_values)), key=p_values.__getitem__)]
    assert all(a <= b for a, b in pairwise(in_order))


def test_the_bootstrap_draws_documents_whole() -> None:
    means = bootstrap_means([1.0] * 9 + [0.0], ["long"] * 9 + ["short"])
    assert set(np.round(means, 6)) == {0.0, 0.9, 1.0}  # both of one, or one of each: weighted by questions
    assert np.mean(means == 0) == pytest.approx(1 / 4, abs=0.02)


def test_of_one_document_questions_are_drawn() -> None:
    means = bootstrap_means([1.0] * 9 + [0.0], ["the only one"] * 10)
    assert np.array_equal(means, bootstrap_means([1.0] * 9 + [0.0], list("abcdefghij")))
    assert two_sided(bootstrap_means([0.5, -0.4], ["one", "one"])) > 0.4


def test_the_bootstrap_of_independent_values_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 400)
    low, high = interval(bootstrap_means(values, [str(n) for n in range(400)]))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.015)


def test_the_bootstrap_takes_little_memory_and_draws_the_same_however_it_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, clusters = [float(n % 3 == 0) for n in range(14_042)], [str(n) for n in range(14_042)]
    tracemalloc.start()
    many = bootstrap_means(values, clusters)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert many.shape == (RESAMPLES,)
    few = bootstrap_means(values[:7], clusters[:7])
    monkeypatch.setattr(statistics, "_DRAWN_AT_ONCE", 30)
    assert np.array_equal(bootstrap_means(values[:7], clusters[:7]), few)


def test_differences_that_cancel_out_are_none() -> None:
    assert two_sided(bootstrap_means([0.1, 0.2, -0.3] * 8, [str(n // 3) for n in range(24)])) == 1


def test_the_bootstraps_p_value() -> None:
    assert two_sided(bootstrap_means([0.0] * 20, list("abcdefghijklmnopqrst"))) == 1
    assert two_sided(bootstrap_means([0.2] * 20, list("abcdefghijklmnopqrst"))) == pytest.approx(2 / 10_001)
