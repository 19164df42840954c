import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.document import Document
from seriatim.documents.passages import cut
from seriatim.evaluation.coverage import coverage, evidence_found, stands_in
from tests.retrieval.conftest import VOYAGE


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("Bishop", "The ship's cat, called Bishop, swam.", 1),
        ("a chain of nineteen links", "chain of nineteen links", 1),
        ("a chain of nineteen links", "nineteen links", 0),
        ("one two three four five six", "one two three four five; four five six", 2 / 3),
        ("one two three four five six", "three four five six", 1 / 3),
        ("", "anything", 0),
        ("the", "the", 0),
    ],
)
def test_coverage_counts_four_grams(answer: str, text: str, expected: float) -> None:
    assert coverage(answer, text) == pytest.approx(expected)


@given(st.integers(0, len(VOYAGE)), st.integers(0, len(VOYAGE)))
def test_a_document_covers_whatever_stands_in_it(a: int, b: int) -> None:
    answer = VOYAGE[min(a, b) : max(a, b)]
    if stands_in(answer, VOYAGE):
        assert coverage(answer, VOYAGE) == 1


def test_evidence_lies_wholly_within_passages_that_may_be_several() -> None:
    first, second, third, *_ = cut(Document("voyage", VOYAGE, "")).passages
    across = [first.end - 5, second.start + 5]
    assert evidence_found([across], [first, second])
    assert not evidence_found([across], [first, third])
    assert evidence_found([[0, len(VOYAGE)], [third.start, third.end]], [third])
    assert not evidence_found([], [first])


def test_whole_words_do_not_stand_in_others() -> None:
    assert stands_in("no", "It is not so.")
    assert not stands_in("no", "It is not so.", whole_words=True)
    assert stands_in("no", "He said no.", whole_words=True)
    assert coverage("no", "It is not so.") == 1
    assert coverage("no", "It is not so.", whole_words=True) == 0
    assert coverage("one two three four five", "one two three four fives", whole_words=True) == 0.5
