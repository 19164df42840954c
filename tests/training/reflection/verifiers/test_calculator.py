import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.training.reflection.attempts import Attempt, Verdict
from seriatim.training.reflection.verifiers.calculator import calculator, gold_answer, gold_steps
from tests.evaluation.data import SHARED

ANSWER = "She sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\nShe makes 9 * 2 = $<<9*2=18>>18 a day.\n#### 18"
TRAIN = SHARED / "gsm8k" / "train.jsonl"


def test_an_answer_of_the_data_set_is_accepted() -> None:
    assert calculator(gold_answer(ANSWER))(Attempt("", gold_steps(ANSWER), "$18.00")) == Verdict(True)


@pytest.mark.skipif(not TRAIN.exists(), reason="needs shared/data/gsm8k")
def test_answers_of_the_data_set_hold_but_for_those_that_miscalculate() -> None:
    """As in "192*100=$1920", outside of its annotations."""
    rows = [json.loads(line)["answer"] for line in TRAIN.read_text(encoding="utf-8").splitlines()]
    refused = [
        each
        for each in rows
        if not calculator(gold_answer(each))(Attempt("", gold_steps(each), gold_answer(each))).accepted
    ]
    assert (len(rows), len(refused)) == (7473, 29)


@pytest.mark.parametrize("wrong", ["Then <<4*3=13>>13.", "Then 4 x 3 = 13.", "4 * 3 = $13"])
def test_the_first_wrong_step_is_named_with_what_it_should_be(wrong: str) -> None:
    verdict = calculator("14")(Attempt("", ("It is <<2+2=4>>4.", wrong, "So <<13+1=15>>15."), "14"))
    assert (verdict.accepted, verdict.first_wrong) == (False, 1)
    assert "is 12, not " in verdict.found


def test_right_calculations_with_another_answer_blame_no_step() -> None:
    verdict = calculator("1,400")(Attempt("", ("<<700*2=1400>>",), "1401"))
    assert (verdict.accepted, verdict.first_wrong) == (False, None)
    assert calculator("1,400")(Attempt("", ("<<700*2=1400>>",), "It is 1400.")).accepted
    assert not calculator("1400")(Attempt("", (), "none")).accepted


@given(
    st.text() | st.text(alphabet="0123456789+-*/().,%$x e**", max_size=80),
    st.text(alphabet="0123456789.,-$", max_size=40),
)
def test_any_attempt_gets_a_verdict(expression: str, shown: str) -> None:
    attempt = Attempt("", (expression, f"<<{expression}={shown}>>"), shown)
    assert calculator("7")(attempt).accepted in (True, False)
