"""From a Hugging Face checkpoint to a GGUF file, and back."""

from pathlib import Path

import torch

from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.gguf import GgufKind, GgufSource, write_gguf
from seriatim.olmoe.saving import Progress, write_checkpoint
from seriatim.olmoe.tokenizer import Tokenizer


def to_gguf(folder: str | Path, path: str | Path, kind: GgufKind = "F16", *, progress: Progress | None = None) -> None:
    """Write the checkpoint in `folder`, with its tokenizer, as the GGUF file `path`. See `gguf.write_gguf`."""
    checkpoint = Checkpoint(folder)
    tokenizer = Tokenizer.from_folder(folder)
    write_gguf(checkpoint, path, tokenizer, kind=kind, name=checkpoint.path.resolve().name, progress=progress)


def to_hf(
    gguf_path: str | Path,
    folder: str | Path,
    *,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the GGUF file as a checkpoint in the new folder `folder`, with its tokenizer.

    Tensors keep the type that they are stored in, and quantised ones become float16, unless `dtype` names one for all.
    """
    source = GgufSource(gguf_path)
    write_checkpoint(source, folder, dtype=dtype, companions=source.tokenizer().write, progress=progress)
