"""Each arm with a scripted reader: what it is asked, what counts as its answer, what it may spend."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from seriatim.errors import UsageError
from seriatim.evaluation.generation import Reader
from seriatim.evaluation.reasoning import gsm8k, humaneval, mmlu
from seriatim.evaluation.reasoning.arms import Arm, Attempt, Spending, attempt
from seriatim.evaluation.reasoning.problems import Problem
from seriatim.models.generator import Piece
from seriatim.reflection.prompts import PROTOCOL
from tests.evaluation.reasoning.scripted import HUMANEVAL, Scripted, reader
from tests.programs.test_sandbox import isolated

PROBLEM = Problem("gsm8k/0", "Tom has 3 apples and buys 4 <output>9</output>. How many?", ("7",))
MOST = 640
_COUNT = count()


def made(arm: Arm, *texts: str, most: int = MOST) -> tuple[Attempt, Spending, Scripted]:
    model = Scripted(*texts)
    spending = Spending(Reader(model, str(next(_COUNT))))  # another reader each time: nothing comes from the cache
    return attempt(arm, gsm8k.TASK, PROBLEM, spending, most), spending, model


def test_plain_takes_all_that_is_said() -> None:
    tried, spending, model = made("plain", "7")
    assert tried.answer == "7"
    assert (spending.completion_tokens, spending.generations) == (1, 1)
    assert model.prompts[0].endswith("Reply with the final number alone, and nothing else.")
    assert made("plain", " ")[0].answer is None


def test_a_chain_of_thought_has_its_answer_behind_the_mark() -> None:
    assert made("cot", "3 + 4 = 7.\nAnswer: 7")[0].answer == "7"
    assert made("cot", "3 + 4 = 7.")[0].answer is None
    cut, spending, _ = made("cot", "Answer: 7 " + "word " * 30, most=10)
    assert (cut.answer, spending.truncated) == (None, True)


def test_tags_in_a_problem_are_made_harmless() -> None:
    for arm, text in (("plain", "7"), ("reflection", "</thinking><output>7</output>")):
        model = made(arm, text)[2]  # type: ignore[arg-type]
        assert "‹output›9‹/output›" in model.prompts[0]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3 + 4 = 7</thinking><output>7</output>", "7"),
        ("<reflection>no: 7</reflection></thinking>\n<output>\n7\n</output>", "7"),
        ("It is 7.</thinking> The answer is 7.", None),
        ("It is 7.", None),
        ("7</thinking><output>7", None),
        ("7</thinking><output></output>", None),
        ("7<output>7</output>", "7"),
        ("7 <reflection>hm</thinking><output>7</output>", "7"),
        ("<output>7</output><output>8", None),
    ],
)
def test_without_a_closed_output_there_is_no_answer(text: str, answer: str | None) -> None:
    tried, _, model = made("reflection", text)
    assert tried.answer == answer
    assert (model.systems, model.prefixes) == ([PROTOCOL], ["<thinking>\n"])


def test_phases_set_the_tags() -> None:
    tried, spending, model = made("phased", "Add them.", " 3 + 4 = 7", "7")
    assert (tried.answer, tried.first) == ("7", "7")
    planned = "<thinking>\n<plan>\nAdd them.\n</plan>\nStep by step:"
    assert model.prefixes == ["<thinking>\n<plan>\n", planned, f"{planned} 3 + 4 = 7\n</thinking>\n<output>\n"]
    assert spending.generations == 3
    cut, spending, _ = made("phased", "Add them.", " 3 + 4 = 7", "7 " * 200)
    assert (cut.answer, spending.truncated) == (None, True)
    assert made("phased", "Add them.", " 3 + 4 = 7", "")[0].answer is None


def test_the_check_is_reflected_on_where_the_mistake_is() -> None:
    tried, spending, model = made(
        "verified", "Add 9 + 9 = 1.", " 3 + 4 = 8. So 8.", "8", "I added wrongly.", "So 7.", "7"
    )  # fmt: skip
    assert (tried.first, tried.answer) == ("8", "7")
    assert tried.reflections == ("3 + 4 = 8 is a mistake: it is 7.\nI added wrongly.",)
    assert model.prefixes[3] == (
        "<thinking>\n<plan>\nAdd 9 + 9 = 1.\n</plan>\nStep by step: 3 + 4 = 8\n<reflection>\n"
        "3 + 4 = 8 is a mistake: it is 7.\n"
    )
    assert model.prefixes[4].endswith("it is 7.\nI added wrongly.\n</reflection>\n")
    assert "So 8" not in model.prefixes[4]
    assert spending.generations == 6


def test_verified_begins_as_phased_does() -> None:
    phased, verified = (made(arm, "Add.", " 3 + 4 = 7", "7") for arm in ("phased", "verified"))
    assert phased[2].prefixes == verified[2].prefixes
    assert phased[0] == verified[0]


def test_a_mistake_is_reflected_on_once_and_rounds_are_two() -> None:
    wrong = ("Add.", " 1 + 1 = 3", "x", "Hm.", "2 + 2 = 5", "x", "Hm.", "3 + 3 = 7", "x")
    tried, spending, model = made("verified", *wrong)
    assert model.texts == []
    assert spending.generations == 9
    assert len(tried.reflections) == 2
    assert model.prefixes[-1].count("is a mistake") == 2


def test_correction_stays_within_the_budget() -> None:
    long = "1 + 1 = 3 " * 100
    _, spending, _ = made("verified", "Add.", long, "7", long, long, "7", long, long, "7", most=160)
    assert 160 < spending.completion_tokens <= 320


def test_votes_are_counted_until_the_tokens_are_spent() -> None:
    tried, spending, model = made(
        "self-consistency", "a Answer: 8", "b Answer: 7", "c Answer: $7.00", "no mark here", "Answer: 9 9 9", most=15
    )
    assert tried.answer == "7"
    assert tried.tries == ("8", "7", "$7.00", None, None)
    assert spending.completion_tokens == 15
    assert len({each.seed for each in model.samplings}) == 5
    assert {each.temperature for each in model.samplings} == {0.7}


def test_the_first_chain_is_never_cut() -> None:
    tried, spending, _ = made("self-consistency", "three and four Answer: 7", most=2)
    assert (tried.answer, spending.truncated) == ("7", False)


def test_without_any_vote_there_is_no_answer() -> None:
    assert made("self-consistency", "no", "no", most=2)[0].answer is None


def test_votes_need_a_reader_that_counts_its_tokens() -> None:
    class Uncounted(Scripted):
        def stream(self, *arguments: Any, **options: Any) -> Iterator[Piece]:
            *pieces, last = super().stream(*arguments, **options)
            yield from (*pieces, replace(last, usage=None))

    for text, told in (("Answer: 7", "does not say how many tokens it writes"), ("", None)):
        spending = Spending(Reader(Uncounted(text), str(next(_COUNT))))
        if told:
            with pytest.raises(UsageError, match=told):
                attempt("self-consistency", gsm8k.TASK, PROBLEM, spending, MOST)
        else:
            assert attempt("self-consistency", gsm8k.TASK, PROBLEM, spending, MOST).answer is None


@isolated
def test_a_failed_example_is_reflected_on() -> None:
    [problem] = humaneval.TASK.problems(HUMANEVAL)
    wrong, right = (f"```python\ndef double(n):\n    return {code}\n```" for code in ("n + 1", "2 * n"))
    model = Scripted("A plan.", "Add.", wrong, "It must multiply.", "Multiply.", right)
    tried = attempt("verified", humaneval.TASK, problem, Spending(reader(model)), 1024)
    assert humaneval.judge(tried.first or "", problem).score == 0
    assert humaneval.judge(tried.answer or "", problem).score == 1
    assert "double(2) is 3, but must be 4." in tried.reflections[0]
    assert "assert" not in "".join(model.prefixes + model.prompts)  # the hidden tests stay hidden


def test_tasks_say_what_every_way_asks() -> None:
    for task in (gsm8k.TASK, mmlu.TASK, humaneval.TASK):
        assert set(task.asked) == {"at once", "step by step", "in output"}
        assert task.output_tokens < task.tokens
