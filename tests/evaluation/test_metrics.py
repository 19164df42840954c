"""Scores against hand-computed values and the definitions' own properties."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.evaluation.metrics import exact_match, f1, normalized

texts = st.text(alphabet=string.ascii_letters + string.punctuation + "  \n", max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Whale,\nan animal!", "whale animal"),
        ("1,388 feet", "1388 feet"),
        ("a-hunting", "ahunting"),
        ("Theatre", "theatre"),
        ("“A” naïve", "“ ” naïve"),
    ],
)
def test_case_punctuation_articles_and_spaces_do_not_count(text: str, expected: str) -> None:
    assert normalized(text) == expected


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        ("the life-buoy", ["lifebuoy"], 1.0),
        ("a life buoy of pine", ["life buoy"], 2 * (2 / 4) / (2 / 4 + 1)),
        ("to to be", ["to be be"], 2 / 3),
        ("nothing like it", ["life buoy", "it"], 0.5),
        ("", ["life buoy"], 0.0),
        ("the", ["the"], 0.0),
        ("life buoy", [], 0.0),
    ],
)
def test_f1_counts_common_words(prediction: str, references: list[str], expected: float) -> None:
    assert f1(prediction, references) == pytest.approx(expected)


@given(prediction=texts, reference=texts)
def test_f1_is_symmetric_and_bounded(prediction: str, reference: str) -> None:
    assert f1(prediction, [reference]) == pytest.approx(f1(reference, [prediction]))
    assert 0 <= f1(prediction, [reference]) <= 1


@given(prediction=texts, references=st.lists(texts, max_size=3), other=texts)
def test_another_reference_never_lowers_f1(prediction: str, references: list[str], other: str) -> None:
    assert f1(prediction, [*references, other]) >= f1(prediction, references)


def test_an_exact_match_is_one_of_the_references_normalised() -> None:
    assert exact_match("The Pequod.", ["a ship", "pequod"])
    assert not exact_match("the ship Pequod", ["a ship", "pequod"])
