import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.arithmetic import first_wrong, number_in
from seriatim.evaluation.reasoning.gsm8k import TASK, check, gold, judge
from seriatim.evaluation.reasoning.problems import Problem, after_marker, read_problems
from tests.evaluation.data import SHARED
from tests.evaluation.reasoning.scripted import GSM8K

PROBLEM = Problem("gsm8k/0", "How much?", ("1234",))


def test_gold_is_the_number_after_the_marks() -> None:
    assert [gold(row["answer"]) for row in GSM8K] == ["7", "1234", "-3"]
    with pytest.raises(ValueError, match="no number after ####"):
        gold("It is 7.")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", "18"),
        ("She makes 9 * 2 = $18 every day.", "18"),
        ("$1,234.50.", "1234.50"),
        ("**70,000** dollars", "70000"),
        ("-3", "-3"),
        ("−3 degrees", "-3"),
        ("-$5", "-5"),
        ("from 5-3", "3"),
        (".5", ".5"),
        ("1, 2, 3", "3"),
        ("none", None),
        ("", None),
    ],
)
def test_the_last_number_is_read(text: str, number: str | None) -> None:
    assert number_in(text) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("answer", "score", "strict"),
    [
        ("1234", 1, 1),
        ("$1,234.00", 1, 1),
        ("1234.", 1, 1),
        ("It is 1234 dollars", 1, 0),
        ("1235", 0, 0),
        ("12340", 0, 0),
        ("", 0, 0),
    ],
)
def test_numbers_are_compared_as_numbers(answer: str, score: float, strict: float) -> None:
    judged = judge(answer, PROBLEM)
    assert (judged.score, judged.strict) == (score, strict)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=2))
def test_a_number_is_read_however_it_is_written(number: Decimal) -> None:
    for written in (f"{number}", f"{number:,}", f"the answer is ${number:,}." if number >= 0 else f"it is {number}."):
        assert number_in(written) == number


@given(st.text(max_size=80))
def test_anything_can_be_read(text: str) -> None:
    number_in(text)
    after_marker(text, PROBLEM)
    judge(text, PROBLEM)


def test_the_answer_follows_its_mark() -> None:
    assert after_marker("Answer: 3\nNo.\n**Answer:** 4", PROBLEM) == "4"
    assert after_marker("The final answer: 5 eggs", PROBLEM) == "5 eggs"
    assert after_marker("It is 4", PROBLEM) is None
    assert after_marker(r"Answer: 3, no, \(\boxed{4}\)", PROBLEM) == "4"
    assert after_marker(r"John is missing \boxed{150} dollars.", PROBLEM) == "150"
    assert after_marker("\\boxed{3}\nAnswer: 5", PROBLEM) == "5"


def test_the_check_is_a_calculators() -> None:
    fault = check("First 3 + 4 = 8. Then 8 * 2 = 16.", "16", PROBLEM)
    assert fault
    assert (fault.kept, fault.found) == ("First 3 + 4 = 8", "3 + 4 = 8 is a mistake: it is 7.")
    assert check("3 + 4 = 7", "999", PROBLEM) is None  # it does not know the right answer
    missing = check("3 + 4 = 7", "seven", PROBLEM)
    assert missing
    assert "not a number" in missing.found


@pytest.mark.skipif(not (SHARED / "gsm8k").exists(), reason="needs shared/data/gsm8k")
def test_the_official_data_is_read_and_its_own_sums_hold() -> None:
    read = read_problems(TASK, SHARED / "gsm8k")
    assert len(read.problems) == 1319
    assert read.problems[0].references == ("18",)
    lines = (SHARED / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    worked = [json.loads(line)["answer"] for line in lines]
    alarms = sum(first_wrong(answer) is not None for answer in worked)
    assert alarms <= len(worked) // 200  # some of the data's own sums are wrong, or written so that people alone see it
