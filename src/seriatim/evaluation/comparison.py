"""Compare two runs question by question."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from seriatim.errors import UsageError
from seriatim.evaluation.records import Row, Run
from seriatim.evaluation.statistics import bootstrap_means, holm, interval, mcnemar, two_sided, wilson

Interval = tuple[float, float]
Measure = Literal["score", "strict_score", "coverage"]


@dataclass(frozen=True, slots=True)
class Discordance:
    """Pairs that are right in one run alone, and McNemar's exact p-value of the two counts."""

    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Both runs' mean scores in percent over the questions that both asked, at one budget of each.

    `difference` is a less b, with the 95% interval of a bootstrap over documents. `p` is McNemar's for choices of
    which each is right or wrong, else the bootstrap's; `p_holm` counts all budgets that were compared. `wilson_a` and
    `wilson_b` are intervals of each accuracy alone, as if questions were independent, where `p` is McNemar's.
    """

    tokens_a: int
    tokens_b: int
    n: int
    documents: int
    a: float
    b: float
    difference: float
    interval_95: Interval
    p: float
    p_holm: float
    mcnemar: Discordance | None
    wilson_a: Interval | None
    wilson_b: Interval | None


def compare(a: Run, b: Run, by: Measure = "score", seed: int = 0) -> list[Compared]:
    """`a` against `b` at each budget that both have; where one has a single budget, as closed book has, against each
    of the other's. `by` says which column of the rows counts.

    Raises `UsageError` for runs that share no question, or are of different tasks or data.
    """
    for name in ("task", "judged_by", "data_sha256", "stitch_words", "prompt_version", "prompt"):
        if a.settings.get(name) != b.settings.get(name):
            raise UsageError(
                f"{a.path} and {b.path} differ in {name} ({a.settings.get(name)!s:.60}, {b.settings.get(name)!s:.60}) "
                "and cannot be compared question by question"
            )
    paired = [
        (pairs, tokens_a, tokens_b)
        for tokens_a, tokens_b in _budgets(a, b)
        if (pairs := _pairs(a.at(tokens_a), b.at(tokens_b), by))
    ]
    if not paired:
        raise UsageError(f"{a.path} and {b.path} have no {by} of the same question at a budget that can be compared")
    choices = a.settings["metric"] == b.settings["metric"] == "accuracy" and by != "coverage"
    # Coursera's quarters are neither right nor wrong: McNemar's test and Wilson's interval are not made for them.
    binary = choices and all(row[by] in (0, 1) for pairs, _, _ in paired for pair in pairs for row in pair)
    found = [_compared(pairs, by, tokens_a, tokens_b, binary, seed) for pairs, tokens_a, tokens_b in paired]
    adjusted = holm([each.p for each in found])
    return [replace(each, p_holm=p) for each, p in zip(found, adjusted, strict=True)]


def to_dict(a: Run, b: Run, by: Measure, compared: Sequence[Compared]) -> dict[str, object]:
    """The `eval compare --json` contract."""
    return {
        "a": str(a.path), "b": str(b.path), "task": a.settings["task"], "metric": a.settings["metric"],
        "by": by, "comparisons": [asdict(each) for each in compared],
    }  # fmt: skip


def _budgets(a: Run, b: Run) -> list[tuple[int, int]]:
    shared = sorted(set(a.budgets) & set(b.budgets))
    if shared:
        return [(tokens, tokens) for tokens in shared]
    if len(a.budgets) == 1 or len(b.budgets) == 1:
        return [(x, y) for x in a.budgets for y in b.budgets]
    raise UsageError(f"{a.path} and {b.path} have no budget in common ({a.budgets} and {b.budgets})")


def _pairs(a: dict[str, Row], b: dict[str, Row], by: Measure) -> list[tuple[Row, Row]]:
    return [(a[key], b[key]) for key in a if key in b and a[key].get(by) is not None and b[key].get(by) is not None]


def _compared(
    pairs: Sequence[tuple[Row, Row]], by: Measure, tokens_a: int, tokens_b: int, binary: bool, seed: int
) -> Compared:
    n = len(pairs)
    scores_a, scores_b = [x[by] for x, _ in pairs], [y[by] for _, y in pairs]
    documents = [x["document"] for x, _ in pairs]
    differences = [x - y for x, y in zip(scores_a, scores_b, strict=True)]
    means = bootstrap_means(differences, documents, seed)
    low, high = interval(means)
    discordance = _discordance(differences) if binary else None
    p = discordance.p if discordance else two_sided(means)
    return Compared(
        tokens_a, tokens_b, n, len(set(documents)), 100 * sum(scores_a) / n, 100 * sum(scores_b) / n,
        100 * sum(differences) / n, (100 * low, 100 * high), p, p, discordance,
        _percent(wilson(sum(scores_a), n)) if binary else None,
        _percent(wilson(sum(scores_b), n)) if binary else None,
    )  # fmt: skip


def _discordance(differences: Sequence[float]) -> Discordance:
    only_a, only_b = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return Discordance(only_a, only_b, mcnemar(only_a, only_b))


def _percent(limits: Interval) -> Interval:
    return 100 * limits[0], 100 * limits[1]
