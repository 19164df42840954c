"""Score a file of predictions, whoever made them."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.choices import LETTERS
from seriatim.evaluation.datasets import json_lines, reason, texts_of
from seriatim.evaluation.tasks import Metric, Task

_PREDICTION = ("prediction", "pred")
_LETTERED = re.compile(r"\W*[A-D]+(\W|$)")
_REFERENCES = ("ground_truth", "label", "references")


@dataclass(frozen=True, slots=True)
class Scored:
    """Mean scores of a file's predictions in percent, not rounded: the benchmark's, and the strict reading's."""

    task: str
    metric: Metric
    score: float
    strict_score: float
    n: int

    def to_dict(self) -> dict[str, object]:
        """The `eval score --json` contract."""
        return asdict(self)


def score_predictions(task: Task, file: Path) -> Scored:
    """The scores of a JSONL file with a row a question: `prediction` (or `pred`), and its right answers as
    `ground_truth` (or `label`, or `references`), a text or a list of texts.

    Raises `UsageError` for a file that cannot be read or is empty, `SeriatimError` for a row of another form, or for a
    question (its `id`, where rows have one) that is answered twice.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"the predictions cannot be read from {file}: {error.strerror}") from error
    scores, strict = [], []
    seen: set[str] = set()
    for number, row in json_lines(data, file):
        try:
            _once(row, seen)
            text = _prediction(row)
            references = _references(task, row)
        except (KeyError, TypeError, ValueError) as error:
            raise SeriatimError(f"{file}, line {number + 1}: {reason(error)}") from error
        scores.append(task.score(text, references))
        strict.append(task.strict(text, references))
    if not scores:
        raise UsageError(f"{file} holds no predictions")
    count = len(scores)
    return Scored(task.name, task.metric, 100 * sum(scores) / count, 100 * sum(strict) / count, count)


def _once(row: dict[str, Any], seen: set[str]) -> None:
    """Raise `ValueError` where the row's question, if it has an id, was among those `seen`."""
    if "id" not in row:
        return
    question = repr(row["id"])
    if question in seen:
        raise ValueError(f"the question with id {question:.40} is answered twice; leave one of the two out")
    seen.add(question)


def _prediction(row: dict[str, Any]) -> str:
    """What was answered; nothing where it is null."""
    value = row[_named(row, _PREDICTION)]
    if not isinstance(value, str | int | float | None):
        raise TypeError(f"a prediction must be text, not {value!r:.40}")
    return "" if value is None else str(value)


def _references(task: Task, row: dict[str, Any]) -> list[str]:
    """The right answers; of ∞Bench's choices the last one is the letter."""
    name = _named(row, _REFERENCES)
    references = texts_of(row if isinstance(row[name], list) else {name: [row[name]]}, name)
    if not any(each.strip() for each in references):
        raise ValueError(f"{name} is empty")
    if task.metric == "accuracy" and task.form == "leval" and not any(map(_LETTERED.match, references)):
        raise ValueError(f"{name} must begin with the letters of the right options, A to D")
    if task.metric == "accuracy" and not all(each.strip() for each in references):
        raise ValueError(f"{name} holds an empty text")
    if task.metric == "accuracy" and task.form == "infinitebench" and references[-1] not in tuple(LETTERS):
        raise ValueError(f"{name} must close with the letter of the right option, A to D")
    return references


def _named(row: dict[str, Any], names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in row), None)
    if found is None:
        raise ValueError(f"neither {' nor '.join(map(repr, names))} is in the row")
    return found
