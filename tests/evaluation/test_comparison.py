from pathlib import Path
from typing import Any

import pytest

from seriatim.errors import UsageError
from seriatim.evaluation.comparison import compare, to_dict
from seriatim.evaluation.records import Run


def a_run(name: str, rows: list[dict[str, Any]], **settings: Any) -> Run:
    held = {"task": "quality", "metric": "accuracy", "data_sha256": "d", "order": name, "reader": "r"} | settings
    return Run(Path(name), held, tuple(rows))


def rows(scores: str, tokens: int = 512) -> list[dict[str, Any]]:
    """A row a question, right where `scores` has a 1; four questions a document."""
    return [
        {"question_id": str(n), "document": str(n // 4), "tokens": tokens, "score": float(score), "coverage": None}
        for n, score in enumerate(scores)
    ]


def test_pairs_are_compared_question_by_question() -> None:
    a, b = a_run("document", rows("11110111")), a_run("relevance", rows("1100100111"))
    [compared] = compare(a, b)
    assert (compared.n, compared.documents) == (8, 2)
    assert (compared.a, compared.b, compared.difference) == (87.5, 50, 37.5)
    assert compared.mcnemar
    assert (compared.mcnemar.only_a, compared.mcnemar.only_b) == (4, 1)
    assert compared.p == compared.mcnemar.p == 2 * (1 + 5) / 32
    assert compared.interval_95 == (25, 50)  # one document twice, or the other: 1 of 4 more, and 2 of 4
    assert compared.wilson_a == pytest.approx((52.91, 97.76), abs=0.01)
    assert compared.wilson_b == pytest.approx((21.52, 78.48), abs=0.01)
    [mirrored] = compare(b, a)
    assert mirrored.difference == -compared.difference
    assert mirrored.p == compared.p


@pytest.mark.parametrize("name", ["data_sha256", "stitch_words", "prompt_version", "prompt"])
def test_other_questions_or_other_words_are_no_pair(name: str) -> None:
    a, b = a_run("document", rows("1111"), **{name: 1}), a_run("relevance", rows("1110"), **{name: 2})
    with pytest.raises(UsageError, match=rf"differ in {name} \(1, 2\)"):
        compare(a, b)


def test_several_budgets_are_adjusted_together() -> None:
    a = a_run("document", rows("1" * 12) + rows("1" * 12, 1024))
    b = a_run("relevance", rows("0" * 10 + "11") + rows("0" * 6 + "1" * 6, 1024))
    first, second = compare(a, b)
    assert (first.tokens_a, second.tokens_a) == (512, 1024)
    assert first.p_holm == pytest.approx(2 * first.p)
    assert second.p_holm == pytest.approx(second.p)


def test_closed_book_stands_against_every_budget() -> None:
    a = a_run("document", rows("1101") + rows("1111", 1024))
    closed = a_run("closed", rows("1000", 0))
    assert [(each.tokens_a, each.tokens_b) for each in compare(a, closed)] == [(512, 0), (1024, 0)]
    assert to_dict(a, closed, "score", compare(a, closed))["a"] == "document"


def test_f1_has_the_bootstraps_p_and_no_mcnemar() -> None:
    a, b = a_run("document", rows("1" * 8), metric="f1"), a_run("relevance", rows("1" * 8), metric="f1")
    [compared] = compare(a, b)
    assert (compared.p, compared.mcnemar, compared.wilson_a) == (1, None, None)


def test_quarters_are_neither_right_nor_wrong() -> None:
    quarter = [row | {"score": 0.25, "strict_score": 0.0} for row in rows("1" * 8)]
    right = [row | {"strict_score": 1.0} for row in rows("1" * 8, 512) + rows("1" * 8, 1024)]
    a, b = a_run("document", right), a_run("relevance", quarter + [row | {"tokens": 1024} for row in right[:8]])
    partly, equal = compare(a, b)
    assert (partly.difference, partly.mcnemar, partly.wilson_a, partly.wilson_b) == (75, None, None, None)
    assert partly.p < 0.001  # the bootstrap's
    assert equal.mcnemar is None  # one test for all budgets
    assert all(each.mcnemar for each in compare(a, b, "strict_score"))


def test_what_cannot_be_compared_is_said() -> None:
    a = a_run("document", rows("1"))
    with pytest.raises(UsageError, match="differ in data_sha256"):
        compare(a, a_run("b", rows("1"), data_sha256="e"))
    with pytest.raises(UsageError, match="no coverage of the same question"):
        compare(a, a, "coverage")
    two = a_run("c", rows("1", 256) + rows("1", 128))
    with pytest.raises(UsageError, match="no budget in common"):
        compare(a_run("d", rows("1") + rows("1", 1024)), two)
