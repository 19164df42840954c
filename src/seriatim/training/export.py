"""A model of a run: the newest checkpoint without the training state, low-rank changes merged into the weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from seriatim.errors import TrainingError, UsageError
from seriatim.olmoe.checkpoint import EMBEDDING, Checkpoint, Source
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.convert import to_gguf
from seriatim.olmoe.gguf import GgufKind
from seriatim.olmoe.output import written_whole
from seriatim.olmoe.saving import Progress, companions, write_checkpoint
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer

_TUNE_FILE = "tune.json"


@dataclass(frozen=True, slots=True)
class Exported:
    """A source with a config of its own: tuning turns a model's balancing loss off, which is no trait of the model."""

    weights: Source
    config: OlmoeConfig

    def dtype(self, name: str) -> torch.dtype:
        return self.weights.dtype(name)

    def tensor(self, name: str) -> Tensor:
        return self.weights.tensor(name)


@dataclass(frozen=True, slots=True)
class InMemory:
    """A model in memory as a source."""

    config: OlmoeConfig
    weights: dict[str, Tensor]

    def dtype(self, name: str) -> torch.dtype:
        return self.weights[name].dtype

    def tensor(self, name: str) -> Tensor:
        return self.weights[name]


def export(
    run: Path, out: Path, *, gguf: bool = False, kind: GgufKind = "F16", progress: Progress | None = None
) -> list[Path]:
    """Write the newest model of a run as the new folder `out`, in the type that the run's start is stored in, and with
    `gguf` as a file for llama.cpp beside it: `out` with the suffix .gguf. Returns what was written.

    The tokenizer's files are those of the start; where it has no chat template, OLMoE's comes with it after tuning.
    Where the file cannot be written, the folder is not either. Raises `UsageError` for an `out` without a name,
    as `.` is, `TrainingError` for a run without a checkpoint,
    and where `out` exists; `ModelError` for a model that llama.cpp would compute otherwise, and where the disk is full.
    """
    if not out.name:
        raise UsageError(f"{out} cannot be a new folder: name one that is not there yet")
    file = out.with_name(f"{out.name}.gguf")
    for path in [out, file] if gguf else [out]:
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise TrainingError(f"{path} exists already: name a new path, or remove it first")
    if not (run / _TUNE_FILE).exists() and not (run / "last").exists():
        raise TrainingError(f"{run} holds no checkpoint: name the folder that was given to --run")
    with written_whole(out, 0) as folder:
        if (run / _TUNE_FILE).exists():
            _tuned(run, folder, progress)
        else:
            source = Checkpoint(run / "last")
            write_checkpoint(source, folder, companions=companions(run / "last"), progress=progress)
        if gguf:
            to_gguf(folder, file, kind, progress=progress)
    return [out, file] if gguf else [out]


def _tuned(run: Path, out: Path, progress: Progress | None) -> None:
    from seriatim.training import tune

    began, newest = tune.read(run), tune.newest(run)
    if newest is None:
        raise TrainingError(f"{run} has no checkpoint yet: go on with it first")
    start = Path(began["start"])
    stored = Checkpoint(start)
    tokenizer = Tokenizer.from_folder(start)
    copy = companions(start)

    def beside(folder: Path) -> None:
        copy(folder)
        if tokenizer.chat_template is None:
            tokenizer.chat_template = CHAT_TEMPLATE
            tokenizer.write(folder)

    source = Checkpoint(newest) if began["lora"] is None else InMemory(stored.config, tune.merged(start, newest))
    write_checkpoint(
        Exported(source, stored.config), out, dtype=stored.dtype(EMBEDDING), companions=beside, progress=progress
    )
