"""Write checkpoints in Hugging Face's layout, which transformers and `checkpoint.Checkpoint` read.

Tensors have their published names, each expert's apart, and go to disk one by one: a model that is converted never
stands in memory as a whole.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seriatim.errors import ModelError
from seriatim.olmoe.checkpoint import COMPANIONS, CONFIG_FILE, DTYPES, EMBEDDING, Source
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.interface import OlmoeModel
from seriatim.olmoe.listing import INDEX_FILE, WEIGHTS_FILE
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.names import table
from seriatim.olmoe.output import written_whole
from seriatim.olmoe.tensor_file import Piece, write_tensors

SHARD_BYTES = 5 << 30
"""The most that one file of a checkpoint holds; a tensor that is larger has a file of its own."""

Progress = Callable[[int, int], None]
"""Called with the tensors of the module that are done, and how many there are."""


class Weights:
    """A model's weights as a `Source`; `whole` gives all of a tensor that several processes share."""

    def __init__(self, model: Olmoe, whole: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> None:
        self.config = model.config
        self._state = model.state_dict()
        self._whole = whole

    def dtype(self, name: str) -> torch.dtype:
        return self._state[name].dtype

    def tensor(self, name: str) -> Tensor:
        return self._whole(self._state[name])


def save(
    model: OlmoeModel,
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    shard_bytes: int = SHARD_BYTES,
    tokenizer: str | Path | None = None,
) -> None:
    """Write a float32 model as a new folder `path`; `tokenizer` is a folder whose tokenizer files are copied into it.

    Raises `ModelError` where `path` exists already with something in it, where the disk is full, and for a model in
    int8, whose weights are no longer those of a checkpoint.
    """
    if not isinstance(model, Olmoe):
        raise ModelError("only a float32 model can be saved as a checkpoint: load it with dtype float32")
    write_checkpoint(Weights(model), path, dtype=dtype, shard_bytes=shard_bytes, companions=companions(tokenizer))


def companions(folder: str | Path | None) -> Callable[[Path], None]:
    """What copies the files that belong beside a model's weights from `folder`, where they are, into a new one."""

    def copy(target: Path) -> None:
        for name in COMPANIONS:
            if folder is not None and (Path(folder) / name).is_file():
                shutil.copyfile(Path(folder) / name, target / name)

    return copy


def write_checkpoint(
    source: Source,
    path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
    companions: Callable[[Path], None] = lambda _folder: None,
    progress: Progress | None = None,
) -> None:
    """Write `source` as a new folder `path`, in `dtype` or, where that is None, each tensor in the source's own.

    `companions` is called with the folder, to add what goes with the weights. Raises `ModelError` as `save` does.
    """
    if dtype not in (None, *DTYPES.values()):
        raise ModelError(f"a checkpoint is stored as {', '.join(map(str, DTYPES.values()))}, not as {dtype}")
    shards = _shards(list(_plan(source, dtype)), shard_bytes)
    total = sum(piece.nbytes for shard in shards for piece in shard)
    with written_whole(Path(path), total) as folder:
        folder.mkdir()
        names = [WEIGHTS_FILE]
        if len(shards) > 1:
            names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
            weight_map = {piece.name: name for name, shard in zip(names, shards, strict=True) for piece in shard}
            _write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
        tensors = _tensors(source, progress)
        for name, shard in zip(names, shards, strict=True):
            write_tensors(folder / name, shard, islice(tensors, len(shard)))
        _write_json(folder / CONFIG_FILE, _config(source.config, dtype or source.dtype(EMBEDDING)))
        companions(folder)


def _plan(source: Source, dtype: torch.dtype | None) -> Iterator[Piece]:
    for row in table(source.config).values():
        stored = dtype or source.dtype(row.name)
        for name, view in row.published(torch.empty(row.shape, device="meta")):
            yield Piece(name, tuple(view.shape), stored)


def _shards(pieces: list[Piece], most: int) -> list[list[Piece]]:
    shards: list[list[Piece]] = [[]]
    filled = 0
    for piece in pieces:
        if shards[-1] and filled + piece.nbytes > most:
            shards.append([])
            filled = 0
        shards[-1].append(piece)
        filled += piece.nbytes
    return shards


def _tensors(source: Source, progress: Progress | None) -> Iterator[Tensor]:
    """All tensors in the order of `_plan`."""
    rows = table(source.config)
    for done, row in enumerate(rows.values()):
        for _, view in row.published(source.tensor(row.name)):
            yield view
        if progress:
            progress(done + 1, len(rows))


def _config(config: OlmoeConfig, dtype: torch.dtype) -> dict[str, Any]:
    return {**config.to_dict(), "torch_dtype": str(dtype).removeprefix("torch.")}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
