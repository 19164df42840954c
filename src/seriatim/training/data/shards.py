"""Token shards: documents' ids one after another in files that are read where they are needed, each document ended by
the end of text.

DATA/manifest.json           what the data are, and where from
DATA/{train,validation}-00000.bin    ids, uint16 or uint32 by the size of the vocabulary
DATA/{train,validation}-00000.ends   where in it documents end (behind their last token, the end of text), uint64
DATA/tokenizer.json …        the tokenizer's files
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

import seriatim
from seriatim.errors import SeriatimError, TrainingError, UsageError
from seriatim.files import sha256
from seriatim.olmoe.output import written_whole
from seriatim.olmoe.tokenizer import TOKENIZER_FILE, Tokenizer
from seriatim.progress import Progress
from seriatim.training.data import sources
from seriatim.training.data.repetition import LONGEST, TIMES
from seriatim.training.data.tokenising import SPLITS, Split, Tokenising, tokenised

FORMAT = 2
MANIFEST = "manifest.json"
SHARD_TOKENS = 1 << 26
_ENDS = np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class Shard:
    """One file: its name, how many tokens and documents it holds, and the SHA-256 of it and of its documents' ends."""

    split: Split
    file: str
    tokens: int
    documents: int
    sha256: str
    ends_sha256: str

    @property
    def ends_file(self) -> str:
        return self.file.removesuffix(".bin") + ".ends"


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of one file, of which a stretch is read when it is asked for: `ids[start:end]`.

    A file that is mapped into memory would take the process with it when it is cut short; this raises `TrainingError`,
    naming the file, and so it does for what cannot be read and for ids that are none of the `vocabulary`.
    """

    file: Path
    dtype: str
    size: int
    vocabulary: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, stretch: slice, /) -> NDArray[Any]:
        start, end, _ = stretch.indices(self.size)
        width = np.dtype(self.dtype).itemsize
        try:
            file = os.open(self.file, os.O_RDONLY)  # half of the time that Python's own files take
            try:
                data = os.pread(file, (end - start) * width, start * width)
            finally:
                os.close(file)
        except OSError as error:
            raise _unreadable(self.file, error) from error
        if len(data) < (end - start) * width:
            raise _changed(self.file)
        ids = np.frombuffer(data, self.dtype)
        if (ids >= self.vocabulary).any():
            raise _changed(self.file)
        return ids


@dataclass(frozen=True, slots=True)
class Shards:
    """A data set: its manifest, and its folder. `unreadable` says what was left out, and why."""

    folder: Path
    eos_id: int
    pad_id: int | None
    vocabulary: int
    dtype: str
    shards: tuple[Shard, ...]
    unreadable: tuple[str, ...] = ()

    def tokens(self, split: Split) -> list[Ids]:
        """The ids of a split, file by file."""
        return [Ids(self.folder / shard.file, self.dtype, shard.tokens, self.vocabulary) for shard in self._of(split)]

    def ends(self, split: Split) -> list[NDArray[np.uint64]]:
        """Where the documents of each of those files end, mapped into memory: document n of a file is
        `ids[ends[n - 1] : ends[n]]`."""
        return [np.memmap(self.folder / shard.ends_file, dtype=_ENDS, mode="r") for shard in self._of(split)]

    @property
    def digest(self) -> str:
        """What tells these data from others: the SHA-256 of what the manifest says of their files, which `verify`
        holds them to."""
        told = json.dumps([self.vocabulary, *(asdict(shard) for shard in self.shards)])
        return hashlib.sha256(told.encode()).hexdigest()

    def files(self) -> list[tuple[Path, int, str]]:
        """All files, with their size in bytes and the SHA-256 that they were written with."""
        width = np.dtype(self.dtype).itemsize
        return [
            (self.folder / name, size, digest)
            for shard in self.shards
            for name, size, digest in (
                (shard.file, shard.tokens * width, shard.sha256),
                (shard.ends_file, shard.documents * _ENDS.itemsize, shard.ends_sha256),
            )
        ]

    def _of(self, split: Split) -> list[Shard]:
        return [shard for shard in self.shards if shard.split == split and shard.tokens]


def write(
    files: Sequence[Path],
    folder: Path,
    tokenizer: Tokenizer,
    *,
    field: str = "text",
    validation: float = 0.0,
    filtered: bool = True,
    workers: int = 1,
    skip: bool = False,
    made_of: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Shards:
    """Tokenise the texts of `files` into a new folder, whole or not at all.

    What is written does not depend on the number of `workers`; more than one are processes of their own, for which a
    script that calls this must be importable (`if __name__ == "__main__"`). The share `validation` of the documents,
    chosen by their content, is held out. A document or row that cannot be read ends it, unless `skip` leaves such out
    and names them in the manifest. `made_of` is what a run keeps there to know its data by. Raises as `sources.texts`
    does, `TrainingError` where nothing is left, and `ModelError` where the disk is full.
    """
    eos_id = tokenizer.eos_id
    if eos_id is None:
        raise TrainingError("the tokenizer has no end of text")
    parts, unreadable = _parts(files, skip)
    how = Tokenising(tokenizer, field, validation, filtered)
    kept = repeating = 0
    with written_whole(folder, sum(file.stat().st_size for file in files)) as new:
        new.mkdir()
        dtype = "uint16" if tokenizer.size <= 1 << 16 else "uint32"
        writers = {split: _Writer(new, split, dtype, eos_id) for split in SPLITS}
        for number, (part, made) in enumerate(zip(parts, tokenised(parts, how, workers=workers), strict=True)):
            if made.unreadable and not skip:
                raise made.unreadable[0]
            unreadable += made.unreadable
            repeating += made.repeating
            for split, documents in made.documents.items():
                kept += len(documents)
                writers[split].add(documents)
            if progress:
                progress(f"{part.file.name}, {_millions(writers.values())}", number + 1, len(parts))
        shards = tuple(shard for writer in writers.values() for shard in writer.close())
        if not any(shard.split == "train" and shard.tokens for shard in shards):
            raise TrainingError(
                f"no text is left to train on: {repeating} repeat themselves, {kept} are held out, "
                f"{len(unreadable)} cannot be read"
            )
        tokenizer.write(new)
        manifest = {
            "format": FORMAT, "seriatim": seriatim.__version__, "eos_id": tokenizer.eos_id, "pad_id": tokenizer.pad_id,
            "vocabulary": tokenizer.size, "dtype": dtype, "validation": validation, "field": field,
            "tokenizer_sha256": sha256(new / TOKENIZER_FILE),
            "filter": {"longest": LONGEST, "times": TIMES, "dropped": repeating} if filtered else None,
            "documents": kept, "unreadable": list(map(str, unreadable)), "shards": [asdict(shard) for shard in shards],
            "sources": _hashed(files, progress), "made_of": made_of,
        }  # fmt: skip
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return opened(folder)


def opened(folder: Path) -> Shards:
    """The data set in `folder`. Raises `TrainingError`, naming the file, for what is missing or has another size than
    it was written with."""
    held = _manifest(folder)
    try:
        if held["format"] != FORMAT:
            raise TrainingError(f"{folder} was made by another version of Seriatim; make it again")
        shards = tuple(Shard(**shard) for shard in held["shards"])
        unreadable = tuple(held["unreadable"])
        data = Shards(folder, held["eos_id"], held["pad_id"], held["vocabulary"], held["dtype"], shards, unreadable)
        if sha256(folder / TOKENIZER_FILE) != held["tokenizer_sha256"]:
            raise _changed(folder / TOKENIZER_FILE)
    except OSError as error:
        raise _unreadable(folder / TOKENIZER_FILE, error) from error
    except (KeyError, TypeError) as error:
        raise _changed(folder / MANIFEST) from error
    for file, size, _ in data.files():
        if not file.exists():
            raise TrainingError(f"{file} is gone; bring it back, or make the data again")
        if file.stat().st_size != size:
            raise _changed(file)
    return data


def verify(data: Shards, *, rank: int = 0, ranks: int = 1, progress: Progress | None = None) -> None:
    """Read every byte of a data set; of several processes each reads its share of the files. Raises `TrainingError`,
    naming the file, for what is not as it was written."""
    files = data.files()[rank::ranks]
    for done, (file, _, digest) in enumerate(files):
        if progress:
            progress(f"checking {file.name}", done, len(files))
        try:
            found = sha256(file)
        except OSError as error:
            raise _unreadable(file, error) from error
        if found != digest:
            raise _changed(file)


def made_of(folder: Path) -> dict[str, Any] | None:
    """What the data in `folder` were made of, where that was kept. Raises `TrainingError` as `opened` does."""
    kept: dict[str, Any] | None = _manifest(folder).get("made_of")
    return kept


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} holds no token shards: make them with seriatim train data") from error
    if not isinstance(held, dict):
        raise _changed(folder / MANIFEST)
    return held


def _changed(file: Path) -> TrainingError:
    return TrainingError(f"{file} is not as it was written; bring it back, or make the data again")


def _unreadable(file: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{file} cannot be read ({error.strerror}); bring it back, or make the data again")


def _parts(files: Sequence[Path], skip: bool) -> tuple[list[sources.Part], list[SeriatimError]]:
    parts: list[sources.Part] = []
    unreadable: list[SeriatimError] = []
    for file in files:
        try:
            parts += sources.parts(file)
        except UsageError:
            raise
        except SeriatimError as error:
            if not skip:
                raise
            unreadable.append(error)
    return parts, unreadable


class _Writer:
    """Writes the shards of one split. A document stands in one shard, which is longer than others if it must be."""

    def __init__(self, folder: Path, split: Split, dtype: str, eos_id: int) -> None:
        self._folder, self._split, self._dtype, self._eos = folder, split, dtype, eos_id
        self._done: list[Shard] = []
        self.tokens = 0
        self._open()

    def add(self, documents: Iterable[NDArray[np.uint32]]) -> None:
        for ids in documents:
            if self._end and self._end + len(ids) + 1 > SHARD_TOKENS:
                self._finish()
                self._open()
            self._tokens_file.write(np.append(ids, self._eos).astype(self._dtype))
            self._end += len(ids) + 1
            self._documents += 1
            self._ends_file.write(np.array([self._end], dtype=_ENDS))
            self.tokens += len(ids) + 1

    def close(self) -> list[Shard]:
        self._finish()
        return self._done

    def _open(self) -> None:
        self._end = self._documents = 0
        self._name = f"{self._split}-{len(self._done):05}"
        self._tokens_file = _Hashed(self._folder / f"{self._name}.bin")
        self._ends_file = _Hashed(self._folder / f"{self._name}.ends")

    def _finish(self) -> None:
        sums = self._tokens_file.close(), self._ends_file.close()
        self._done.append(Shard(self._split, f"{self._name}.bin", self._end, self._documents, *sums))


class _Hashed:
    """A file and the SHA-256 of what is written to it."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, values: NDArray[Any]) -> None:
        data = values.tobytes()
        self._file.write(data)
        self._hash.update(data)

    def close(self) -> str:
        self._file.close()
        return self._hash.hexdigest()


def _hashed(files: Sequence[Path], progress: Progress | None) -> list[dict[str, str]]:
    found = []
    for number, file in enumerate(files):
        if progress:
            progress(f"hashing {file.name}", number, len(files))
        found.append({"file": str(file), "sha256": sha256(file)})
    return found


def _millions(writers: Iterable[_Writer]) -> str:
    return f"{sum(writer.tokens for writer in writers) / 1e6:,.1f} M tokens"
