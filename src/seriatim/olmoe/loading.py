"""Open a model in the form that it is to run in."""

from pathlib import Path
from typing import Literal

from seriatim.errors import UsageError
from seriatim.olmoe.checkpoint import Checkpoint, Source, load_float32
from seriatim.olmoe.interface import OlmoeModel


def load(path: str | Path, dtype: Literal["float32", "int8"] = "float32") -> OlmoeModel:
    """The model in the folder `path` (or, in float32, in a GGUF file).

    float32 is the reference, and takes four bytes a weight; int8 is the fast one, and takes one. Raises `ModelError`
    for what is no OLMoE model, or damaged, naming the file or the tensor.
    """
    if dtype == "float32":
        return load_float32(source(path))
    if dtype == "int8":
        from seriatim.olmoe import int8

        return int8.load(path)
    raise UsageError(f"a model runs in float32 or int8, not in {dtype!r}")


def source(path: str | Path) -> Source:
    """The weights at `path`: a checkpoint's folder, or a GGUF file."""
    if Path(path).is_dir() or Path(path).suffix != ".gguf":
        return Checkpoint(path)
    from seriatim.olmoe.gguf import GgufSource

    return GgufSource(path)
