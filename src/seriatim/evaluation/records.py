"""A run on disk: `run.json` says what was asked, and how; `rows.jsonl` has a row a question and budget.

A row is written in one piece and synced, so that a run that was killed has lost at most the question at hand.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from seriatim.errors import SeriatimError, UsageError

Row = dict[str, Any]

SETTINGS, ROWS = "run.json", "rows.jsonl"
# What a run may be taken up with otherwise than it began: more questions, more budgets, and where things are.
_FREE = ("limit", "tokens", "data", "machine")


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was made: its settings, and its rows in the order in which they were made."""

    path: Path
    settings: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def budgets(self) -> list[int]:
        """The budgets that were asked at, ascending."""
        return sorted({row["tokens"] for row in self.rows})

    def at(self, tokens: int) -> dict[str, Row]:
        """The rows at one budget, by question."""
        return {row["question_id"]: row for row in self.rows if row["tokens"] == tokens}


def read_run(path: Path) -> Run:
    """The run in the folder `path`. Raises `UsageError` where there is none, or nothing in it yet."""
    try:
        settings = json.loads((path / SETTINGS).read_text(encoding="utf-8"))
        data = (path / ROWS).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"there is no run in {path}: make one with seriatim eval run --run {path}") from error
    rows = tuple(_rows(data, path))
    if not rows:
        raise UsageError(f"the run in {path} has no answers yet; go on with it: seriatim eval run --run {path}")
    return Run(path, settings, rows)


@contextmanager
def opened(path: Path, settings: Mapping[str, Any]) -> Iterator[tuple[list[Row], TextIO]]:
    """The rows of the run in `path`, begun now or taken up again, and the file that further rows go to.

    One process at a time. Raises `UsageError` where the folder holds a run with other settings, or another process
    writes to it, `SeriatimError` where it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with (path / ROWS).open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"another process is at the run in {path}; wait for it") from error
            _settle(path, settings)
            yield _recovered(file, path), file
    except OSError as error:
        raise SeriatimError(f"the run in {path} cannot be written: {error.strerror}") from error


def append(file: TextIO, row: Row) -> None:
    """Add a row, and do not return before it is on the disk."""
    file.write(json.dumps(row) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _settle(path: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings down, or compare them with those that the run began with."""
    file = path / SETTINGS
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name, value in settings.items():
        if held and name not in _FREE and held.get(name) != value:
            raise UsageError(
                f"the run in {path} was made with {name} {held.get(name)}, not {value}; "
                "choose another folder with --run"
            )
    new = path / (SETTINGS + ".new")
    new.write_text(json.dumps(dict(settings), indent=1) + "\n", encoding="utf-8")
    new.replace(file)


def _recovered(file: TextIO, path: Path) -> list[Row]:
    """The whole rows of `file`; the beginning of one, which a kill left at the end, is cut off."""
    file.seek(0)
    data = file.read().encode()
    end = data.rfind(b"\n") + 1
    file.truncate(end)
    file.seek(0, os.SEEK_END)
    return list(_rows(data[:end], path))


def _rows(data: bytes, path: Path) -> Iterator[Row]:
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise SeriatimError(f"{path / ROWS}, line {number}: damaged ({error}); remove that line") from error
