"""Open a model in the form that it is to run in."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from seriatim.errors import ModelError, UsageError
from seriatim.machine import free_memory
from seriatim.olmoe.checkpoint import CONFIG_FILE, Checkpoint, Source, load_float32
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.interface import OlmoeModel

Dtype = Literal["float32", "int8"]


def load(
    path: str | Path, dtype: Dtype = "float32", *, progress: Callable[[int, int], None] | None = None
) -> OlmoeModel:
    """The model in the folder `path` (or, in float32, in a GGUF file).

    float32 is the reference, and takes four bytes a weight; int8 is the fast one, and takes one. A checkpoint is packed
    in int8 the first time, which `progress` is told of (layers done, layers in all). Raises `ModelError` for what is no
    OLMoE model, or damaged, naming the file or the tensor, and for what the memory that is free does not hold.
    """
    path = Path(path).expanduser()
    if dtype == "float32":
        weights = source(path)
        check_memory(path.resolve().name, weights.config, dtype)
        return load_float32(weights)
    if dtype == "int8":
        from seriatim.olmoe import int8

        if without_kernels():  # what the kernels run is mapped, and makes room by itself
            check_memory(path.resolve().name, OlmoeConfig.from_file(path / CONFIG_FILE), dtype)
        return int8.load(path, progress=progress)
    raise UsageError(f"a model runs in float32 or int8, not in {dtype!r}")


def source(path: str | Path) -> Source:
    """The weights at `path`: a checkpoint's folder, or a GGUF file."""
    if Path(path).is_dir() or Path(path).suffix != ".gguf":
        return Checkpoint(path)
    from seriatim.olmoe.gguf import GgufSource

    return GgufSource(path)


def check_memory(name: str, config: OlmoeConfig, dtype: Dtype) -> None:
    """Raises `ModelError` where the weights of a model would not fit into the memory that is free."""
    size, free = config.total_parameters * (4 if dtype == "float32" else 1), free_memory()
    if size > free:
        remedy = "take int8" if dtype == "float32" else "close other programs, or take a smaller model"
        raise ModelError(f"{name} takes {size / 1e9:.1f} GB in {dtype}, and {free / 1e9:.1f} GB are free: {remedy}")


def without_kernels() -> bool:
    """Whether int8 runs by PyTorch alone, for want of a compiler or of AVX2; where it does, a warning says so."""
    from seriatim.olmoe.int8.kernels import kernels

    if kernels() is not None:
        return False
    warnings.warn(
        "int8 runs without its own kernels here, which takes longer and more memory: they need a C++ compiler (g++ or "
        "clang++) and a processor with AVX2",
        stacklevel=2,
    )
    return True
