"""GSM8K (Cobbe et al., arXiv 2110.14168): grade-school word problems, whose answers are numbers."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from seriatim.arithmetic import NUMBER, first_wrong, number_in
from seriatim.evaluation.datasets import text_of
from seriatim.evaluation.reasoning.problems import (
    WRONG,
    Fault,
    HubFiles,
    Judgement,
    Problem,
    ReasoningTask,
    after_marker,
)

_STRICT = re.compile(rf"-?\$?({NUMBER})%?\.?")


def gold(answer: str) -> str:
    """The number after the last "####" of a worked answer, without its commas. Raises `ValueError` without one."""
    _, mark, said = answer.rpartition("####")
    number = number_in(said)
    if not mark or number is None:
        raise ValueError("no number after ####")
    return str(number)


def judge(answer: str, problem: Problem) -> Judgement:
    """Whether the last number of `answer` is the right one; strictly, the answer is a number and nothing else."""
    number = number_in(answer)
    if number is None or number != Decimal(problem.references[0]):
        return WRONG
    return Judgement(1.0, float(bool(_STRICT.fullmatch(answer.strip()))))


def check(thinking: str, answer: str, _problem: Problem) -> Fault | None:
    """The first equation of the thinking that does not hold, by a calculator; else an answer without a number."""
    wrong = first_wrong(thinking)
    if wrong:
        return Fault(thinking[: wrong.end], f"{wrong.text} is a mistake: it is {wrong.value}.")
    if number_in(answer) is None:
        return Fault(thinking, "The final answer is not a number yet.")
    return None


def _problems(rows: Sequence[dict[str, Any]]) -> list[Problem]:
    return [
        Problem(f"gsm8k/{number}", text_of(row, "question").strip(), (gold(text_of(row, "answer")),))
        for number, row in enumerate(rows)
    ]


def _vote(answer: str, _problem: Problem) -> str | None:
    number = number_in(answer)
    return None if number is None else str(number.normalize() + 0)


TASK = ReasoningTask(
    name="gsm8k",
    about="GSM8K: 1,319 word problems of grade-school arithmetic, a number each",
    file="test.jsonl",
    hub=HubFiles(
        "openai/gsm8k", "740312add88f781978c0658806c59bc2815b9866", {"test": "main/test-00000-of-00001.parquet"}
    ),
    asked={
        "at once": "Reply with the final number alone, and nothing else.",
        "step by step": 'Think step by step. Then close with a last line "Answer: " and the final number alone.',
        "in output": "The output is the final number alone.",
    },
    problems=_problems,
    final=after_marker,
    judge=judge,
    vote=_vote,
    check=check,
    tokens=640,
    output_tokens=48,
)
