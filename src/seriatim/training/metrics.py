"""What a run tells about itself: a line of JSON a step, and one more where it was tested; TensorBoard and Weights &
Biases where they are asked for."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, TextIO

from seriatim.errors import TrainingError, UsageError
from seriatim.files import write_text

FILE = "metrics.jsonl"
_WANDB_ID = "wandb-id.txt"


class Metrics:
    """Writes rows of a run's metrics. Rows after `step`, which a stopped run left, are taken out first; `last` is what
    is told of `step` itself."""

    def __init__(self, run: Path, step: int, *, tensorboard: bool = False, wandb: str = "") -> None:
        kept = [row for row in _rows(run / FILE) if row["step"] <= step]
        write_text(run / FILE, "".join(json.dumps(row) + "\n" for row in kept))
        self.last: dict[str, Any] = _by_step(kept).get(step, {})
        self._file: TextIO = (run / FILE).open("a", encoding="utf-8")
        self._tensorboard = _tensorboard(run, step) if tensorboard else None
        self._wandb = _wandb(run, wandb) if wandb else None

    def write(self, row: dict[str, Any]) -> None:
        """Add the row of a step; lists stay in the file alone."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        scalars = {name: value for name, value in row.items() if isinstance(value, int | float)}
        if self._tensorboard:
            for name, value in scalars.items():
                self._tensorboard.add_scalar(name, value, row["step"])
        if self._wandb:
            self._wandb.log(scalars, step=row["step"])

    def close(self) -> None:
        self._file.close()
        if self._tensorboard:
            self._tensorboard.close()
        if self._wandb:
            self._wandb.finish()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """What is told of each step of a run, in their order."""
    return list(_by_step(_rows(run / FILE)).values())


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of a file; a kill may have left the beginning of one at its end."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
            row["step"]
        except (ValueError, TypeError, KeyError) as error:
            raise TrainingError(f"{file}, line {number} is damaged ({error}): remove that line") from error
        yield row


def _by_step(rows: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What all rows of a step tell, by step."""
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row["step"], {}).update(row)
    return found


def _tensorboard(run: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("run.tensorboard needs the package tensorboard: pip install 'seriatim[logs]'") from error
    return SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)


def _wandb(run: Path, project: str) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise UsageError("run.wandb needs the package wandb: pip install 'seriatim[logs]'") from error
    return wandb.init(project=project, name=run.name, dir=str(run), resume="allow", id=_wandb_id(run))


def _wandb_id(run: Path) -> str:
    """The run's id at Weights & Biases, drawn once: another folder of this one's name, or one made anew in its place,
    is another run there too."""
    file = run / _WANDB_ID
    if not file.exists():
        write_text(file, token_hex(8) + "\n")
    return file.read_text(encoding="utf-8").strip()
