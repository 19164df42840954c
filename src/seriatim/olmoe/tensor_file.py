"""Write safetensors files tensor by tensor, so that no more than one of them need be in memory.

The format (https://github.com/huggingface/safetensors#format): the header's length, the header as JSON, then the data.
Data begins at a multiple of 64 bytes, as vector loads from a mapped file like it.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

_ALIGNMENT = 64
_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint8: "U8"}


class Piece(NamedTuple):
    """A tensor that is to be written."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        return int(torch.Size(self.shape).numel()) * self.dtype.itemsize


def write_tensors(path: Path, pieces: Sequence[Piece], tensors: Iterable[Tensor]) -> int:
    """Write `tensors`, which are those that `pieces` announce, and return the file's size in bytes.

    Each is converted to the type of its piece. Raises `OSError` where the disk is full.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for piece in pieces:
        start, end = end, end + piece.nbytes
        header[piece.name] = {
            "dtype": _NAMES[piece.dtype],
            "shape": list(piece.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for piece, tensor in zip(pieces, tensors, strict=True):
            file.write(tensor.detach().to("cpu", piece.dtype).contiguous().view(-1).view(torch.uint8).numpy().data)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()
