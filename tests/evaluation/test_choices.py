"""The readings of multiple-choice answers, quirks and all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.evaluation.choices import (
    first_letter,
    infinitebench_choice,
    leval_choice,
    leval_choices,
    leval_gold,
    strict_choice,
    strict_letters,
)

LABEL = ("the Pequod", "C")


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        ("C", True),
        ("  C. the Pequod", True),
        ("Cannot say", True),  # the first character decides
        ("Answer: C", False),  # which is an A
        ("B or C", False),
        ("", False),
        (" \n", False),
        ("the Pequod", True),
        ("the pequod", False),
        ("I think the answer is: C", True),
        ("I think the answer is:C", False),  # one character is passed over, whichever it is
        ("so answer: the Pequod, of course", True),
        ("so the answer is C", True),
        ("so the answer is the Town-Ho", False),
        ("it is what the answer is", False),
        ("so the answer is", False),
        ("the right option is C", True),
        ("the answer is: B. My option is C", False),  # the first prefix of the list decides
        ("it must be C", True),
        ("it must be AB then C", False),  # "AB" is a part of "ABCD"
        ("it must be (C)", False),
        ("it must be 'C'!", True),
        ("in my view the ship", False),
    ],
)
def test_infinitebench(prediction: str, right: bool) -> None:
    assert infinitebench_choice(prediction, LABEL) is right


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        ("C", True),
        ("(C).", True),
        ("c)", True),
        ("Answer: C", True),
        ("The correct answer is C.", True),
        ("C. the Pequod", True),
        ("C: The Pequod.", True),
        ("the Pequod", True),
        ("C. the Town-Ho", False),
        ("C or B", False),
        ("Cannot say", False),
        ("A", False),
        ("", False),
    ],
)
def test_the_strict_reading_takes_an_answer_and_nothing_else(prediction: str, right: bool) -> None:
    assert strict_choice(prediction, LABEL) is right


@pytest.mark.parametrize(("text", "letter"), [("(C) the ship", "C"), ("Answer: B", "A"), ("none", None), ("", None)])
def test_the_first_letter(text: str, letter: str | None) -> None:
    assert first_letter(text) == letter


# What OpenLMLab/LEval at cd34b05 (`process_output_mc`, `process_gt_mc`, `exact_match_score`) gives for a prediction:
# as Coursera's to the right letters BD and B, then as QuALITY's or TPO's to A, B and AB.
LEVAL = [
    ("", 0, 0, 0, 0, 0),
    (" \n", 0, 0, 0, 0, 0),
    ("A", 0, 0, 1, 0, 0.25),
    ("BD", 1, 0, 0, 1, 0.25),
    ("DB", 1, 0, 0, 0, 0),
    ("BC", 0, 0, 0, 0, 0),
    ("AB", 0, 0, 0, 0, 1),
    ("b, d", 0, 0, 1, 0, 0.25),
    ("B, D", 0.25, 1, 0, 1, 0.25),
    ("B. and D.", 1, 0, 0, 1, 0.25),
    ("(B) (D)", 1, 0, 0, 1, 0.25),
    ("(B) and (C).", 0, 0, 0, 1, 0.25),
    ("Answer: B", 0, 0, 1, 0, 0.25),
    ("The answer is D", 0.25, 0, 0, 0, 0),
    ("option DB, I think", 0.25, 0, 0, 0, 0),
    ("none of them", 0, 0, 1, 0, 0.25),
    ("B D\n\nQuestion: A. C.", 1, 0, 0, 1, 0.25),
    ("BDA because", 0, 0, 0, 1, 0.25),
    ("It is (E).", 0, 0, 1, 0, 0.25),
    ("Both B and D are right.", 1, 0, 0, 1, 0.25),
]


@pytest.mark.parametrize(("prediction", "two", "one", "a", "b", "ab"), LEVAL)
def test_leval_scores_are_the_official_scorers(
    prediction: str, two: float, one: float, a: float, b: float, ab: float
) -> None:
    assert [leval_choices(prediction, gold) for gold in ("BD", "B")] == [two, one]
    assert [leval_choice(prediction, gold) for gold in ("A", "B", "AB")] == [a, b, ab]


def test_leval_does_not_sort_the_right_letters() -> None:
    assert leval_choices("BD", "DB") == 0.25


@pytest.mark.parametrize(("output", "letters"), [("(B) Because", "B"), ("BD", "BD"), ("yes", "A"), ("", "A")])
def test_the_gold_letters_stand_in_the_first_word(output: str, letters: str) -> None:
    assert leval_gold(output) == letters


@pytest.mark.parametrize(
    ("prediction", "right"),
    [("BD", True), ("B, D", True), ("(B) and (D).", True), ("B", False), ("B D because", False)],
)
def test_strict_letters(prediction: str, right: bool) -> None:
    assert strict_letters(prediction, "BD") is right


@given(st.text(alphabet="ABCD abc.:(),'\n", max_size=30), st.sampled_from("ABCD"))
def test_at_most_one_letter_is_right(prediction: str, other: str) -> None:
    right = [letter for letter in "ABCD" if infinitebench_choice(prediction, ("\0", letter))]
    assert len(right) <= 1
    assert sum(strict_choice(prediction, ("\0", letter)) for letter in "ABCD") <= 1
    assert strict_choice(other, ("\0", other))
    assert infinitebench_choice(other, ("\0", other))
