import operator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.arithmetic import first_wrong


@pytest.mark.parametrize(
    "right",
    [
        "16 - 3 - 4 = 9 eggs",
        "She makes 9 * 2 = $<<9*2=18>>18 every day",
        "$9 x 2 = $18.",
        "$1,200 + $34 = $1,234",
        "2 × (3 + 4) = 14 and 14 ÷ 7 = 2",
        r"\( 16 - 3 - 4 = 9 \) and \(9 \times 2 = 18\)",
        "10 / 3 = 3.33",
        "20% * 50 = 10",
        "1/2 = 50%",
        "1. 16 - 3 = 13",
        "- 4 + 4 = 8",
        "2 * 3 + 4 = 6 + 4 = 10",
        "2 - 5 = -3",
    ],
)
def test_right_equations_pass(right: str) -> None:
    assert first_wrong(right) is None


@pytest.mark.parametrize(
    "unread",
    [
        "9 eggs * $2 = $19",
        "x + 3 = 6",
        "2x + 3 = 8",
        "eggs - 3 = 2",
        "x = 5",
        "a == b",
        "3 / 0 = 1",
        "2^3 - 1 = 6",
        "3 + 4 = y",
        "half of 10 + 5 = 10",
        "== ==",
        "(" * 400 + "1 + 1" + ")" * 400 + " = 3",
        "9" * 3000 + " * " + "9" * 3000 + " = 5",
        "1 + 1 = " + "9" * 5000,
        "",
    ],
)
def test_what_would_have_to_be_guessed_is_left(unread: str) -> None:
    assert first_wrong(unread) is None


@pytest.mark.parametrize(
    ("text", "wrong", "value"),
    [
        ("16 - 3 = 13, and 13 - 4 = 8 remain.", "13 - 4 = 8", "9"),
        ("9 * $2 = $19 a day", "9 * $2 = $19", "18"),
        ("<<16-3-4=8>>8", "16-3-4=8", "9"),
        ("10 / 4 = 2", "10 / 4 = 2", "2.5"),
        ("10 / 3 = 3.5", "10 / 3 = 3.5", "3.3333"),
        ("1,200 + 34 = 1,244", "1,200 + 34 = 1,244", "1234"),
        (r"\(9 \times 2 = 19\)", r"9 \times 2 = 19", "18"),
    ],
)
def test_the_first_wrong_one_is_named(text: str, wrong: str, value: str) -> None:
    found = first_wrong(text)
    assert found
    assert (found.text, found.value) == (wrong, value)
    assert text[: found.end].endswith(wrong[-2:])


OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@given(st.integers(0, 10**6), st.sampled_from("+-*"), st.integers(0, 10**4), st.integers(-5, 5), st.booleans())
def test_integers_agree_with_python(a: int, sign: str, b: int, off: int, spaced: bool) -> None:
    value = OPERATIONS[sign](a, b)
    gap = " " if spaced else ""
    found = first_wrong(f"So {a}{gap}{sign}{gap}{b}{gap}={gap}{value + off} in all.")
    assert (found is None) == (off == 0)
    assert found is None or Fraction(found.value) == value


@given(st.text() | st.text(alphabet="0123456789+-*/()=$%., xX\n×÷−\\eof", max_size=60))
def test_anything_can_be_read(text: str) -> None:
    found = first_wrong(text)
    assert found is None or 0 < found.end <= len(text)
