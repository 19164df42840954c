"""The texts in files of many kinds, one after another."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from seriatim.documents.reading import parse
from seriatim.documents.sources import find_sources, read_source
from seriatim.errors import DocumentError, SeriatimError, TrainingError, UsageError
from seriatim.training.data import jsonl

PART_BYTES = 1 << 22
"""About how much JSONL is read at a time."""
_JSONL, _PARQUET = (".jsonl", ".ndjson"), (".parquet",)
_TO_ROWS = 'turn it into JSONL, a line of {"text": "…"} for each document'
_UNPACK = "unpack it, and name what is inside"
_OTHERS = {".json": _TO_ROWS, ".csv": _TO_ROWS, ".tsv": _TO_ROWS, ".gz": _UNPACK, ".zst": _UNPACK, ".bz2": _UNPACK,
           ".xz": _UNPACK}  # fmt: skip
"""Data that would be learnt as raw text, or cannot be read, and what to do with them."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is read at a time: a whole document, the rows of JSONL that begin from byte `start` to `end`, or the row
    group `start` of a Parquet file."""

    file: Path
    start: int = 0
    end: int = 0


def files(paths: Iterable[str | Path]) -> list[Path]:
    """The files that `paths` name, in order, each once: files, folders and patterns, as `seriatim add` takes them, and
    `.jsonl`, `.ndjson` and `.parquet` files besides. Standard input is none: texts are read more than once.

    Raises `UsageError` for what names nothing that can be read, and for data of other kinds that are named themselves.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        here, problems = find_sources([path], also=(*_JSONL, *_PARQUET))
        for each in (path, *here):
            if each == Path("-"):
                raise UsageError("standard input cannot be trained on: write it to a file, and name that")
            if isinstance(each, Path) and each.is_file() and (what := _OTHERS.get(each.suffix.lower())):
                raise UsageError(f"{each}: {what}")
        if problems:
            raise UsageError(f"{problems[0][0]}: {problems[0][1]}")
        found |= dict.fromkeys(each for each in here if isinstance(each, Path))
    return list(found)


def parts(file: Path) -> list[Part]:
    """The parts of a file, in order; they do not depend on who reads them.

    Raises `TrainingError` for a file that cannot be read, and `UsageError` for Parquet where pyarrow is missing.
    """
    if file.suffix.lower() in _JSONL:
        try:
            size = file.stat().st_size
        except OSError as error:
            raise TrainingError(f"{file} cannot be read: {error.strerror}") from error
        return [Part(file, start, min(start + PART_BYTES, size)) for start in range(0, size, PART_BYTES)]
    if file.suffix.lower() in _PARQUET:
        with _parquet(file) as held:
            return [Part(file, group, group + 1) for group in range(held.num_row_groups)]
    return [Part(file)]


def rows(part: Part, field: str = "text") -> Iterator[str | SeriatimError]:
    """The texts in a part: that of a document, or one a row, whose column is `field`; in the place of a document or row
    that cannot be read, the error that says why."""
    if part.file.suffix.lower() in _JSONL:
        yield from _jsonl(part, field)
    elif part.file.suffix.lower() in _PARQUET:
        yield from _parquet_rows(part, field)
    else:
        try:
            yield parse(str(part.file), read_source(part.file)).text
        except DocumentError as error:
            yield error


def texts(file: Path, field: str = "text", *, skip: bool = False) -> Iterator[str]:
    """All texts in a file. Raises the first error that `rows` gives, or, with `skip`, passes over what cannot be
    read."""
    try:
        for row in chain.from_iterable(rows(part, field) for part in parts(file)):
            if isinstance(row, str):
                yield row
            elif not skip:
                raise row
    except TrainingError:
        if not skip:
            raise


def _jsonl(part: Part, field: str) -> Iterator[str | SeriatimError]:
    try:
        with part.file.open("rb") as lines:
            if part.start:
                lines.seek(part.start - 1)
                lines.readline()  # the rest of a line that begins in the part before
            while (place := lines.tell()) < part.end and (line := lines.readline()):
                if line.strip():
                    try:
                        yield _text(jsonl.row(line).get(field), field)
                    except ValueError as error:
                        number = _line_number(part.file, place)
                        yield TrainingError(f"{part.file}, line {number}: {error}")
    except OSError as error:
        yield TrainingError(f"{part.file} cannot be read: {error.strerror}")


def _line_number(file: Path, place: int) -> int:
    with file.open("rb") as data:
        blocks = [min(1 << 20, place - start) for start in range(0, place, 1 << 20)]
        return 1 + sum(data.read(size).count(b"\n") for size in blocks)


def _parquet(file: Path) -> Any:
    """The open file; to be closed."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow: pip install 'seriatim[train]'") from error
    try:
        return parquet.ParquetFile(file)
    except (OSError, ArrowException) as error:
        raise TrainingError(f"{file} is no Parquet file, or damaged: {error}") from error


def _parquet_rows(part: Part, field: str) -> Iterator[str | SeriatimError]:
    from pyarrow import ArrowException

    try:
        with _parquet(part.file) as held:
            if field not in held.schema_arrow.names:
                names = ", ".join(held.schema_arrow.names)
                raise TrainingError(f"{part.file} has no column {field}: name one of {names}")
            number = sum(held.metadata.row_group(group).num_rows for group in range(part.start))
            for batch in held.iter_batches(row_groups=[part.start], columns=[field]):
                for value in batch.column(0):
                    number += 1
                    try:
                        yield _text(value.as_py(), field)
                    except ValueError as error:
                        reason = f"not UTF-8 ({error})" if isinstance(error, UnicodeDecodeError) else str(error)
                        yield TrainingError(f"{part.file}, row {number}: {reason}")
    except (OSError, ArrowException) as error:
        yield TrainingError(f"{part.file} is damaged: {error}")
    except TrainingError as error:
        yield error


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"no text in {field!r}; name its column with --field, or data.field in a run's settings")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half of a surrogate pair in {field!r}, which is no character") from error
    return value
