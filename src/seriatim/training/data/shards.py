"""Token shards: documents' ids one after another in files that are mapped into memory, each ended by the end of text.

DATA/manifest.json           what the data are, and where from
DATA/{train,validation}-00000.bin    ids, uint16 or uint32 by the size of the vocabulary
DATA/tokenizer.json …        the tokenizer's files
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

import seriatim
from seriatim.errors import TrainingError
from seriatim.olmoe.output import written_whole
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.repetition import LONGEST, TIMES, repeats
from seriatim.training.data.sources import texts

FORMAT = 1
MANIFEST = "manifest.json"
SHARD_TOKENS = 1 << 26
_ENCODE_AT_ONCE = 256

Split = Literal["train", "validation"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Shard:
    """One file: its name, how many tokens and documents it holds, and its SHA-256."""

    split: Split
    file: str
    tokens: int
    documents: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Shards:
    """A data set: its manifest, and its folder."""

    folder: Path
    eos_id: int
    pad_id: int | None
    vocabulary: int
    dtype: str
    shards: tuple[Shard, ...]

    def tokens(self, split: Split) -> list[NDArray[Any]]:
        """The ids of a split, file by file, mapped into memory."""
        return [
            np.memmap(self.folder / shard.file, dtype=self.dtype, mode="r")
            for shard in self.shards
            if shard.split == split and shard.tokens
        ]


def write(
    sources: Sequence[Path],
    folder: Path,
    tokenizer: Tokenizer,
    *,
    field: str = "text",
    validation: float = 0.0,
    filtered: bool = True,
    progress: Progress | None = None,
) -> Shards:
    """Tokenise the texts of `sources` into a new folder, whole or not at all; the ids do not depend on the machine.

    The share `validation` of the documents, chosen by their content, is held out. Raises as `sources.texts` does,
    `TrainingError` where nothing is left, and `ModelError` where the disk is full.
    """
    eos_id = tokenizer.eos_id
    if eos_id is None:
        raise TrainingError("the tokenizer has no end of text")
    kept, dropped = 0, 0
    with written_whole(folder, sum(file.stat().st_size for file in sources)) as new:
        new.mkdir()
        writers: dict[Split, _Writer] = {
            split: _Writer(new, split, tokenizer.size, eos_id) for split in ("train", "validation")
        }
        for number, file in enumerate(sources):
            if progress:
                progress(f"tokenising {file.name}", number, len(sources))
            for text, ids in _encoded(texts(file, field), tokenizer):
                if filtered and repeats(ids):
                    dropped += 1
                    continue
                writers["validation" if _share(text) < validation else "train"].add(ids)
                kept += 1
        shards = tuple(shard for writer in writers.values() for shard in writer.close())
        if not any(shard.split == "train" and shard.tokens for shard in shards):
            raise TrainingError(f"no text is left to train on: {dropped} repeat themselves, {kept} are held out")
        tokenizer.write(new)
        manifest = {
            "format": FORMAT, "seriatim": seriatim.__version__, "eos_id": tokenizer.eos_id, "pad_id": tokenizer.pad_id,
            "vocabulary": tokenizer.size, "dtype": writers["train"].dtype, "validation": validation, "field": field,
            "tokenizer_sha256": _sha256(new / "tokenizer.json"),
            "filter": {"longest": LONGEST, "times": TIMES, "dropped": dropped} if filtered else None,
            "documents": kept, "shards": [asdict(shard) for shard in shards],
            "sources": [{"file": str(file), "sha256": _sha256(file)} for file in sources],
        }  # fmt: skip
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return opened(folder)


def opened(folder: Path, *, verify: bool = False) -> Shards:
    """The data set in `folder`; with `verify` every byte is read. Raises `TrainingError`, naming the file, for what is
    missing or changed."""
    try:
        held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} holds no token shards: make them with seriatim train data") from error
    if held.get("format") != FORMAT:
        raise TrainingError(f"{folder} was made by another version of Seriatim; make it again")
    shards = tuple(Shard(**shard) for shard in held["shards"])
    width = np.dtype(held["dtype"]).itemsize
    for shard in shards:
        file = folder / shard.file
        if not file.exists():
            raise TrainingError(f"{file} is gone; bring it back, or make the data again")
        if file.stat().st_size != shard.tokens * width or (verify and _sha256(file) != shard.sha256):
            raise TrainingError(f"{file} is not as it was written; make the data again")
    return Shards(folder, held["eos_id"], held["pad_id"], held["vocabulary"], held["dtype"], shards)


def _encoded(found: Iterable[str], tokenizer: Tokenizer) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each text and its ids; many are encoded at once, on all cores."""
    batch: list[str] = []
    for text in found:
        batch.append(text)
        if len(batch) == _ENCODE_AT_ONCE:
            yield from _batch(batch, tokenizer)
            batch = []
    yield from _batch(batch, tokenizer)


def _batch(batch: list[str], tokenizer: Tokenizer) -> Iterator[tuple[str, NDArray[np.int64]]]:
    for text, ids in zip(batch, tokenizer.encode_all(batch), strict=True):
        if ids:
            yield text, np.array(ids, dtype=np.int64)


class _Writer:
    """Writes the shards of one split."""

    def __init__(self, folder: Path, split: Split, vocabulary: int, eos_id: int) -> None:
        self.dtype = "uint16" if vocabulary <= 1 << 16 else "uint32"
        self._folder, self._split, self._eos = folder, split, eos_id
        self._done: list[Shard] = []
        self._open()

    def add(self, ids: NDArray[np.int64]) -> None:
        if self._tokens and self._tokens + len(ids) + 1 > SHARD_TOKENS:
            self._finish()
            self._open()
        data = np.append(ids, self._eos).astype(self.dtype).tobytes()
        self._file.write(data)
        self._hash.update(data)
        self._tokens += len(ids) + 1
        self._documents += 1

    def close(self) -> list[Shard]:
        self._finish()
        return self._done

    def _open(self) -> None:
        self._tokens = self._documents = 0
        self._hash = hashlib.sha256()
        self._name = f"{self._split}-{len(self._done):05}.bin"
        self._file: BinaryIO = (self._folder / self._name).open("wb")

    def _finish(self) -> None:
        self._file.close()
        self._done.append(Shard(self._split, self._name, self._tokens, self._documents, self._hash.hexdigest()))


def _share(text: str) -> float:
    """A number from 0 to 1 that a document's content alone determines."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8]) / 2**64


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
