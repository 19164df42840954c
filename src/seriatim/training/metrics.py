"""What a run tells about itself: a line of JSON a step; TensorBoard and Weights & Biases where they are asked for."""

import json
from pathlib import Path
from typing import Any, TextIO

from seriatim.errors import UsageError
from seriatim.files import write_text

FILE = "metrics.jsonl"


class Metrics:
    """Writes rows of a run's metrics. Rows at or after `step`, which a stopped run left, are taken out first."""

    def __init__(self, run: Path, step: int, *, tensorboard: bool = False, wandb: str = "") -> None:
        self._file: TextIO = _reopened(run / FILE, step)
        self._tensorboard = _tensorboard(run) if tensorboard else None
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
    """The rows of a run, in the order of its steps."""
    return [json.loads(line) for line in (run / FILE).read_text(encoding="utf-8").splitlines()]


def _reopened(file: Path, step: int) -> TextIO:
    """`file`, to be appended to, with the whole rows before `step` only."""
    kept = []
    if file.exists():
        text = file.read_text(encoding="utf-8")
        kept = [line for line in text[: text.rfind("\n") + 1].splitlines() if json.loads(line)["step"] <= step]
    write_text(file, "".join(f"{line}\n" for line in kept))
    return file.open("a", encoding="utf-8")


def _tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("run.tensorboard needs the package tensorboard: pip install 'seriatim[logs]'") from error
    return SummaryWriter(str(run / "tensorboard"))


def _wandb(run: Path, project: str) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise UsageError("run.wandb needs the package wandb: pip install 'seriatim[logs]'") from error
    return wandb.init(project=project, name=run.name, dir=str(run), resume="allow", id=run.name)
