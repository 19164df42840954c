"""OLMoE in int8: a quarter of float32's memory, and prompts read several times as fast."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from seriatim.errors import ModelError
from seriatim.home import home
from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.int8.engine import Int8Olmoe
from seriatim.olmoe.int8.files import Progress, fingerprint, pack, packed_from, read
from seriatim.olmoe.int8.kernels import kernels
from seriatim.olmoe.int8.portable import Portable
from seriatim.olmoe.int8.weights import (
    MATRICES,
    Ends,
    Layer,
    Quantised,
    check_sizes,
    end_shapes,
    layer_shapes,
    panel_shape,
)
from seriatim.olmoe.listing import INT8_FILE

__all__ = ["Int8Olmoe", "load", "pack", "random_model"]


def load(path: str | Path, *, progress: Progress | None = None) -> Int8Olmoe:
    """The int8 model in the folder `path`: an int8 one, or a Hugging Face checkpoint.

    A checkpoint is packed first, into Seriatim's home, unless that was done before and the checkpoint is the same
    still. Raises `ModelError` for what is neither, or is damaged.
    """
    folder = Path(path).expanduser()
    if (folder / INT8_FILE).is_file():
        return Int8Olmoe(*read(folder), kernels() or Portable())
    with packed(Checkpoint(folder), progress) as kept:
        return Int8Olmoe(*read(kept), kernels() or Portable())


@contextmanager
def packed(checkpoint: Checkpoint, progress: Progress | None = None) -> Iterator[Path]:
    """The folder in Seriatim's home with the int8 form of `checkpoint` as it is now, which stays so in the block."""
    folder = home() / "int8" / hashlib.sha256(str(checkpoint.path.resolve()).encode()).hexdigest()[:16]
    with _locked(folder):
        if packed_from(folder) != fingerprint(checkpoint):
            for old in (folder, *folder.parent.glob(f".{folder.name}-*")):  # also what a killed process left
                shutil.rmtree(old, ignore_errors=True)
            pack(checkpoint, folder, progress=progress)
        yield folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the system takes the lock away from a process that dies."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_suffix(".lock").open("w")
    except OSError as error:
        raise ModelError(f"{folder.parent} cannot be written to, for the int8 form: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def random_model(config: OlmoeConfig, seed: int = 0) -> Int8Olmoe:
    """An int8 model with random weights, for measuring."""
    check_sizes(config)
    random = torch.Generator().manual_seed(seed)

    def matrix(*shape: int) -> Quantised:
        panels = torch.empty(panel_shape(shape), dtype=torch.uint8)
        panels.view(-1).view(torch.int64).random_(generator=random)
        # A uniform byte deviates by 73, and trained weights by initializer_range at first.
        return Quantised(panels, torch.full(shape[:-1], config.initializer_range / 73))

    def draw(name: str, shape: tuple[int, ...]) -> Any:
        if name in MATRICES:
            return matrix(*shape)
        if len(shape) == 1:
            return torch.ones(shape)
        return torch.empty(shape).normal_(std=config.initializer_range, generator=random)

    ends: Ends[Quantised] = Ends(**{name: draw(name, shape) for name, shape in end_shapes(config).items()})
    layers: list[Layer[Quantised]] = [
        Layer(**{name: draw(name, shape) for name, shape in layer_shapes(config).items()})
        for _ in range(config.num_hidden_layers)
    ]
    return Int8Olmoe(config, ends, layers, kernels() or Portable())
