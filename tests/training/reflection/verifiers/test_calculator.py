from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.training.reflection.attempts import Attempt, Verdict
from seriatim.training.reflection.verifiers.calculator import (
    agrees,
    calculator,
    evaluate,
    gold_answer,
    gold_steps,
    miscalculated,
    number,
)

ANSWER = "She sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\nShe makes 9 * 2 = $<<9*2=18>>18 a day.\n#### 18"


def test_an_answer_of_the_data_set_is_accepted() -> None:
    assert calculator(gold_answer(ANSWER))(Attempt("", gold_steps(ANSWER), "$18.00")) == Verdict(True)


def test_the_first_wrong_step_is_named_with_what_it_should_be() -> None:
    wrong = ("It is <<2+2=4>>4.", "Then <<4*3=13>>13.", "So <<13+1=15>>15.")
    assert calculator("14")(Attempt("", wrong, "14")) == Verdict(False, 1, "4*3 is 12, not 13.")


def test_right_calculations_with_another_answer_blame_no_step() -> None:
    verdict = calculator("1,400")(Attempt("", ("<<700*2=1400>>",), "1401"))
    assert (verdict.accepted, verdict.first_wrong) == (False, None)
    assert calculator("1,400")(Attempt("", ("<<700*2=1400>>",), "It is 1400.")).accepted
    assert not calculator("1400")(Attempt("", (), "none")).accepted


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("16-3-4", "9"), ("80,000*1.5", "120000"), ("20*.05", "1"), ("20*5%", "1"), ("(2+3)*4", "20"), ("-2+5", "3"),
        ("2**3", "8"), ("05+1", "6"), ("1/3", "1/3"), ("$5*2", "10"), ("7//2", "3"),
    ],
)  # fmt: skip
def test_expressions(expression: str, value: str) -> None:
    assert evaluate(expression) == Fraction(value)


@pytest.mark.parametrize(
    "expression",
    [
        "", "1/0", "2**9999999", "2**-1", "a+1", "__import__('os')", "1 if 1 else 2", "'a'*9", "(" * 150, "9" * 500,
        "True+1", "1;2", "((9**64)**64)**64", "(((((9**64)**64)**64)**64)**64)**64",
    ],
)  # fmt: skip
def test_what_is_no_calculation_has_no_value(expression: str) -> None:
    assert evaluate(expression) is None
    assert miscalculated(f"<<{expression}=1>>") == f"{expression} = 1 is no calculation."


@given(st.integers(-999, 999), st.sampled_from("+-*"), st.integers(0, 999))
def test_results_are_those_of_python(left: int, operator: str, right: int) -> None:
    assert evaluate(f"{left}{operator}{right}") == eval(f"{left}{operator}{right}")


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        ("10**30=5", "10**30 is 1000000000000000000000000000000, not 5."),
        ("1/3=1", "1/3 is 0.3333, not 1."),
        ("10**30/7=1", "10**30/7 is 142857142857142857142857142900, not 1."),
        ("5/2=2", "5/2 is 2.5, not 2."),
    ],
)
def test_values_of_any_size_are_written(annotation: str, told: str) -> None:
    assert miscalculated(f"<<{annotation}>>") == told


@given(
    st.text() | st.text(alphabet="0123456789+-*/().,%$x e**", max_size=80),
    st.text(alphabet="0123456789.,-$", max_size=40),
)
def test_any_attempt_gets_a_verdict(expression: str, shown: str) -> None:
    attempt = Attempt("", (expression, f"<<{expression}={shown}>>"), shown)
    assert calculator("7")(attempt).accepted in (True, False)


def test_rounded_results_are_right() -> None:
    third = Fraction(10, 3)
    assert agrees(third, Decimal("3.33"))
    assert agrees(third, Decimal("3.3"))
    assert not agrees(third, Decimal("3.4"))
    assert not agrees(Fraction(9), Decimal("9.5"))
    assert number("it is 1,234.50 dollars") == Decimal("1234.50")
