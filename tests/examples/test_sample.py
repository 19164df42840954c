import json
from pathlib import Path
from typing import Any

import pytest

from seriatim.evaluation.metrics import normalized

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXT = (EXAMPLES / "sennet-water.md").read_text(encoding="utf-8")
ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
]


def of_kind(*kinds: str) -> list[Any]:
    return [pytest.param(row, id=row["id"]) for row in ROWS if row["kind"] in kinds]


def holds(text: str, phrase: str) -> bool:
    """Whether `phrase`, normalised, stands in `text` as a run of whole words: how answers are scored."""
    return f" {normalized(phrase)} " in f" {normalized(text)} "


def test_document_is_long_enough_to_need_retrieval() -> None:
    assert len(TEXT.split()) >= 10_000


def test_paragraphs_are_short_enough_to_be_read_alone() -> None:
    assert max(len(paragraph.split()) for paragraph in TEXT.split("\n\n")) <= 140


def test_questions_are_many_and_of_every_kind() -> None:
    at_least = {"fact": 16, "corrected": 10, "multi": 3, "unanswerable": 3}
    counts = {kind: sum(row["kind"] == kind for row in ROWS) for kind in at_least}
    assert sum(counts.values()) == len(ROWS)
    assert all(counts[kind] >= least for kind, least in at_least.items()), counts


def test_ids_and_questions_are_unique() -> None:
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert len({row["question"] for row in ROWS}) == len(ROWS)


def test_questions_stand_in_the_order_of_their_answers() -> None:
    starts = [row["evidence"][0][0] if row["evidence"] else len(TEXT) for row in ROWS]
    assert starts == sorted(starts)


def test_evidence_is_spread_over_the_document() -> None:
    tenths = {10 * start // len(TEXT) for row in ROWS for start, _ in row["evidence"]}
    assert len(tenths) >= 8, sorted(tenths)


@pytest.mark.parametrize("row", of_kind("fact", "corrected", "multi", "unanswerable"))
def test_ranges_are_tight_quotes_of_the_document(row: dict[str, Any]) -> None:
    for start, end in row["evidence"] + row.get("stale_evidence", []):
        assert 0 <= start < end <= len(TEXT)
        quote = TEXT[start:end]
        assert quote == quote.strip()
        assert "\n" not in quote
        assert len(quote) <= 300


@pytest.mark.parametrize("row", of_kind("fact", "corrected"))
def test_each_range_holds_the_answer(row: dict[str, Any]) -> None:
    assert row["evidence"]
    for start, end in row["evidence"]:
        assert any(holds(TEXT[start:end], answer) for answer in [row["answer"], *row["accept"]])


@pytest.mark.parametrize("row", of_kind("corrected"))
def test_every_stale_value_is_stated_before_it_is_corrected(row: dict[str, Any]) -> None:
    assert row["stale_evidence"]
    assert max(end for _, end in row["stale_evidence"]) < min(start for start, _ in row["evidence"])
    for start, end in row["stale_evidence"]:
        assert any(holds(TEXT[start:end], value) for value in row["stale"])


@pytest.mark.parametrize("row", of_kind("corrected"))
def test_no_stale_value_is_scored_as_right(row: dict[str, Any]) -> None:
    right = [row["answer"], *row["accept"]]
    assert not any(holds(value, answer) for value in row["stale"] for answer in right)
    assert not any(holds(answer, value) for value in row["stale"] for answer in right)


@pytest.mark.parametrize("row", of_kind("multi"))
def test_multi_needs_two_places(row: dict[str, Any]) -> None:
    (first, *_, last) = sorted(row["evidence"])
    assert last[0] - first[1] > 500


@pytest.mark.parametrize("row", of_kind("unanswerable"))
def test_unanswerable_has_no_evidence(row: dict[str, Any]) -> None:
    assert row["answer"] == "not in the document"
    assert row["evidence"] == []


def test_answers_are_short() -> None:
    assert all(1 <= len(row["answer"].split()) <= 7 for row in ROWS)
