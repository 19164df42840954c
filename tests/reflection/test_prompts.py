"""What the model reads of a passage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.reflection.prompts import reflowed


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
