"""MMLU (Hendrycks et al., arXiv 2009.03300): 57 subjects, one letter of four.

Two measurements that share nothing but the questions, and so never a column: the letter that a model finds most
probable after five worked examples, as base models are judged, and the letter that a model gives when it is asked.
"""

import re
from collections.abc import Sequence
from typing import Any

from seriatim.evaluation.choices import LETTERS, strict_choice
from seriatim.evaluation.datasets import text_of, texts_of
from seriatim.evaluation.reasoning.problems import (
    WRONG,
    HubFiles,
    Judgement,
    Problem,
    ReasoningTask,
    after_marker,
)

SHOTS = 5
_ALONE = re.compile(r"(?<![A-Za-z'’])[(\[]?([A-D])[)\].:,]*(?![A-Za-z'’])")
_LED = re.compile(r"(?i:answer|option|choice)(?i:\s+is)?\s*:?\s*[(\[*]*([A-D]|[b-d]|a(?!\s+[A-Za-z]))(?![A-Za-z'’])")


def letter_in(text: str) -> str | None:
    """The letter that `text` names: the one it begins with, or that "answer", "option" or "choice" leads to, or the
    only one that stands alone; None where it is unclear. "A" before a small letter is an article, and "a" before any.

    >>> letter_in("(C) the heart"), letter_in("The answer is B."), letter_in("A nerve, or B?"), letter_in("A or B")
    ('C', 'B', 'B', None)
    >>> letter_in("The answer is A because of it"), letter_in("The answer is a mixture of both, so C")
    ('A', 'C')
    """
    said = text.replace("*", "").strip()
    led = [found[1].upper() for found in _LED.finditer(said)]
    if led:
        return led[-1]
    alone = [found for found in _ALONE.finditer(said) if not re.match(r"A (?!or\b|and\b)[a-z]", said[found.start(1) :])]
    letters = {found[1] for found in alone}
    if alone and alone[0].start() == 0 and (len(letters) == 1 or alone[0][0][-1] in ").:]"):
        return alone[0][1]
    return letters.pop() if len(letters) == 1 else None


def judge(answer: str, problem: Problem) -> Judgement:
    """Whether `answer` names the right letter; strictly, the letter or its option and nothing else."""
    text, letter = problem.references
    strict = strict_choice(answer, (text, letter))
    return Judgement(1.0, float(strict)) if strict or letter_in(answer) == letter else WRONG


def _problems(rows: Sequence[dict[str, Any]]) -> list[Problem]:
    """The questions of split "test", with the first five of "dev" of the same subject as `shots`."""
    shots: dict[str, list[str]] = {}
    for row in rows:
        if row["split"] == "dev":
            shots.setdefault(text_of(row, "subject"), []).append(f"{_shown(row)} {LETTERS[_right(row)]}\n\n")
    problems = []
    numbers: dict[str, int] = {}
    for row in rows:
        if row["split"] != "test":
            continue
        subject = text_of(row, "subject")
        number = numbers[subject] = numbers.get(subject, -1) + 1
        head = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
        asked = _shown(row).removesuffix("\nAnswer:")
        right = (row["choices"][_right(row)], LETTERS[_right(row)])
        shown = head + "".join(shots.get(subject, [])[:SHOTS])
        problems.append(Problem(f"mmlu/{subject}/{number}", asked, right, subject, shown))
    return problems


def _right(row: dict[str, Any]) -> int:
    place = row["answer"]
    if place not in range(len(LETTERS)):
        raise ValueError(f"answer must be a number from 0 to 3, not {place!r:.40}")
    return int(place)


def _shown(row: dict[str, Any]) -> str:
    """A question as the paper shows it, up to "Answer:"."""
    options = texts_of(row, "choices")
    if len(options) != len(LETTERS):
        raise ValueError(f"four choices were expected, not {len(options)}")
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return f"{text_of(row, 'question').strip()}\n{listed}\nAnswer:"


def _vote(answer: str, problem: Problem) -> str | None:
    letter = problem.references[1]
    return letter if strict_choice(answer, problem.references) else letter_in(answer)


TASK = ReasoningTask(
    name="mmlu",
    about="MMLU: 14,042 questions of 57 subjects, one letter of four",
    file="mmlu.jsonl",
    hub=HubFiles(
        "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe",
        {"dev": "all/dev-00000-of-00001.parquet", "test": "all/test-00000-of-00001.parquet"},
    ),
    asked={
        "at once": "Reply with the letter of the right option alone, and nothing else.",
        "step by step": 'Think step by step. Then close with a last line "Answer: " and the letter of the right option '
        "alone.",
        "in output": "The output is the letter of the right option alone.",
    },
    problems=_problems,
    final=after_marker,
    judge=judge,
    vote=_vote,
    check=None,
    tokens=512,
    output_tokens=48,
)  # fmt: skip
