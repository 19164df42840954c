"""Score a file of predictions, whoever made them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.datasets import json_lines
from seriatim.evaluation.tasks import Metric, Task

_PREDICTION = ("prediction", "pred")
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

    Raises `UsageError` for a file that cannot be read or is empty, `SeriatimError` for a row of another form.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"the predictions cannot be read from {file}: {error.strerror}") from error
    scores, strict = [], []
    for number, row in json_lines(data, file):
        try:
            prediction = _value(row, _PREDICTION)
            said = _value(row, _REFERENCES)
            references = [said] if isinstance(said, str) else list(map(str, said))
            if not references:
                raise ValueError("no right answer")
        except (KeyError, TypeError, ValueError) as error:
            raise SeriatimError(f"{file}, line {number + 1}: {error.args[0]}") from error
        text = "" if prediction is None else str(prediction)
        scores.append(task.score(text, references))
        strict.append(task.strict(text, references))
    if not scores:
        raise UsageError(f"{file} holds no predictions")
    count = len(scores)
    return Scored(task.name, task.metric, 100 * sum(scores) / count, 100 * sum(strict) / count, count)


def _value(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in row:
            return row[name]
    raise KeyError(f"neither {' nor '.join(map(repr, names))} is in the row")
