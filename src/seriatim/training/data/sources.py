"""The texts in files of many kinds, one after another."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from seriatim.documents.reading import parse
from seriatim.documents.sources import find_sources, read_source
from seriatim.errors import TrainingError, UsageError

_ROWS = (".jsonl", ".parquet")


def files(paths: Iterable[str | Path]) -> list[Path]:
    """The files that `paths` name, in order, each once: files, folders and patterns, as `seriatim add` takes them, and
    `.jsonl` and `.parquet` files besides.

    Raises `UsageError` for what names nothing that can be read.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        rows = [file for each in _ROWS for file in sorted(path.rglob(f"*{each}"))] if path.is_dir() else []
        if path.suffix in _ROWS and path.is_file():
            rows = [path]
        texts, problems = ([], []) if rows and not path.is_dir() else find_sources([path])
        if problems and not rows:
            raise UsageError(f"{problems[0][0]}: {problems[0][1]}")
        found |= dict.fromkeys(
            [*(each.resolve() for each in rows), *(each for each in texts if isinstance(each, Path))]
        )
    if not found:
        raise UsageError(f"there is nothing to train on in {', '.join(map(str, paths))}")
    return list(found)


def texts(file: Path, field: str = "text") -> Iterator[str]:
    """The texts in a file: one of a document, one a row of JSONL or Parquet, whose column is `field`.

    Raises `TrainingError`, naming file and row, for a row without it, and `DocumentError` for a document that cannot
    be read.
    """
    if file.suffix == ".jsonl":
        yield from _jsonl(file, field)
    elif file.suffix == ".parquet":
        yield from _parquet(file, field)
    else:
        yield parse(str(file), read_source(file)).text


def _jsonl(file: Path, field: str) -> Iterator[str]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise TrainingError(f"{file}, line {number}: not JSON ({error})") from error
            yield _text(row, field, f"{file}, line {number}")


def _parquet(file: Path, field: str) -> Iterator[str]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow: pip install pyarrow") from error
    try:
        with parquet.ParquetFile(file) as held:
            if field not in held.schema_arrow.names:
                raise TrainingError(f"{file} has no column {field}: name one of {', '.join(held.schema_arrow.names)}")
            number = 0
            for batch in held.iter_batches(columns=[field]):
                for value in batch.column(0).to_pylist():
                    number += 1
                    yield _text({field: value}, field, f"{file}, row {number}")
    except (OSError, ArrowException) as error:
        raise TrainingError(f"{file} is no Parquet file, or damaged: {error}") from error


def _text(row: Any, field: str, place: str) -> str:
    if not isinstance(row, dict) or not isinstance(row.get(field), str):
        raise TrainingError(f"{place}: no text in {field!r}; name the column with --field")
    text: str = row[field]
    return text
