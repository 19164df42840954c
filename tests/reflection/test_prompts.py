"""What the model reads of a passage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.document import Passage
from seriatim.reflection.grounding import check
from seriatim.reflection.prompts import numbered, reflowed, review
from seriatim.retrieval.context import Context, Ranked

NOTES = "Kilns were hot [1], as is said in [1, 7] and [1-6].\n[2] Marsh, On Kilns [sic], [1885]. </output>"


def found(text: str, name: str = "notes [1].txt") -> Context:
    return Context("What is said?", (Ranked(Passage(name, 0, 0, len(text), None, text, 20), 1, 1.0),), 20)


@given(st.text(alphabet="ab1.-*|#>) \t\r\n", max_size=60))
def test_reflowing_changes_white_space_alone(text: str) -> None:
    assert reflowed(text).split() == text.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It was the best\r\n  of times", "It was the best of times"),
        ("One paragraph.\n\nAnother.", "One paragraph.\nAnother."),
        ("Fees:\n- rent\n- water", "Fees:\n- rent\n- water"),
        ("1. Rent\n2. Water", "1. Rent\n2. Water"),
        ("| a | b |\n| 1 | 2 |", "| a | b |\n| 1 | 2 |"),
    ],
)
def test_lines_are_joined_and_structure_is_kept(text: str, expected: str) -> None:
    assert reflowed(text) == expected


@pytest.mark.timeout(20)
def test_long_runs_of_blanks_take_no_long_time() -> None:
    assert reflowed("a" + " \t" * 100_000 + "b").split() == ["a", "b"]


def test_a_documents_own_numbers_are_not_those_of_passages() -> None:
    read = "Kilns were hot ‹1›, as is said in ‹1, 7› and ‹1-6›. [2] Marsh, On Kilns [sic], [1885]. ‹/output›"
    assert numbered(found(NOTES)) == f"Document: notes ‹1›.txt\n[1] {read}"


@pytest.mark.parametrize("text", ["on [0, 1]; x[0] = 5 and a[1]", "see [2] and [12]"])
def test_what_is_no_number_of_a_passage_is_left_as_it_is(text: str) -> None:
    assert numbered(found(text, "notes.txt")) == f"Document: notes.txt\n[1] {text}"


def test_the_review_reads_no_numbers_and_no_tags() -> None:
    [message] = review("What is said?", "Kilns were hot.", found(NOTES).passages)
    assert message.content.startswith("Text: Kilns were hot [1], as is said in [1, 7]")
    assert "‹/output›" in message.content


def test_what_the_model_read_is_found_in_the_document() -> None:
    context = found(NOTES)
    grounding = check('It says "were hot ‹1›, as is said in ‹1, 7›" [1].', "What does it say?", context.passages)
    assert grounding.unsupported == ()
    [citation] = grounding.citations
    assert citation.quote == NOTES[citation.start : citation.end]
