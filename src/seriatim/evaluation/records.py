"""A run on disk: `run.json` says what was asked, and how; `rows.jsonl` has a row a question and budget.

A row is written in one piece and synced, so that a run that was killed has lost at most the question at hand.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from seriatim.errors import SeriatimError, UsageError
from seriatim.files import write_json

Row = dict[str, Any]

SETTINGS, ROWS = "run.json", "rows.jsonl"
# What every run says of itself, and the numbers of a row, as far as it has them.
_SAID = ("task", "metric", "order")
_NUMBERS = (
    "context_tokens", "coverage", "score", "strict_score", "first_score", "prompt_tokens", "completion_tokens",
    "retrieve_s", "prefill_s", "generate_s", "truncated", "format_failure", "samples", "right",
)  # fmt: skip
# What a run may be taken up with otherwise than it began: more questions, more budgets, and where things are.
_FREE = ("limit", "tokens", "machine")


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
    """The run in the folder `path`. Raises `UsageError` where there is none, or nothing in it yet, `SeriatimError`
    where it is damaged."""
    settings = _settings(path)
    if settings is None:
        raise UsageError(f"there is no run in {path}: make one with seriatim eval run --task TASK --run {path}")
    rows = tuple(_rows(_bytes(path / ROWS) or b"", path))
    if not rows:
        raise UsageError(f"the run in {path} has no answers yet; go on with it by the command that began it")
    return Run(path, settings, rows)


@contextmanager
def opened(path: Path, settings: Mapping[str, Any]) -> Iterator[tuple[list[Row], TextIO]]:
    """The rows of the run in `path`, begun now or taken up again, and the file that further rows go to.

    One process at a time; a run that ends without a row leaves nothing behind. Raises `UsageError` where the folder
    holds a run with other settings, or another process writes to it, `SeriatimError` where it cannot be written, or is
    damaged.
    """
    new = not path.exists()
    with _writing(path):
        names = {each.name for each in path.iterdir()} if path.is_dir() else set()
    if names and names.isdisjoint({SETTINGS, ROWS}):
        raise UsageError(f"{path} holds other files and no run; choose another folder with --run")
    with _writing(path):
        path.mkdir(parents=True, exist_ok=True)
    with _claimed(path) as file:
        with _writing(path):
            held = _settings(path)
            rows = _recovered(file, path)
            if rows and held is None:
                raise SeriatimError(
                    f"{path / ROWS} has rows, but {SETTINGS} is gone; bring it back, or choose another folder"
                )
            _settle(path, settings, held if rows and held else {})
        try:
            yield rows, file
        finally:
            if not os.fstat(file.fileno()).st_size:
                _forget(path, folder=new)


@contextmanager
def _claimed(path: Path) -> Iterator[TextIO]:
    """The file of rows, to which no other process writes while the block runs."""
    while True:
        with _writing(path):
            file = (path / ROWS).open("a", encoding="utf-8")
        with file:
            with _writing(path):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise UsageError(f"another process is at the run in {path}; wait for it") from error
            if _is_at(path / ROWS, file):  # else a process that had no rows removed it between opening and claim
                yield file
                return


def _is_at(place: Path, file: TextIO) -> bool:
    """Whether `file` is the one that stands at `place` now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), place.stat())
    except FileNotFoundError:
        return False


def _forget(path: Path, *, folder: bool) -> None:
    """Remove a run in which nothing was asked, with its `folder` if nothing else is in it."""
    with suppress(OSError):
        for name in (SETTINGS, ROWS):
            (path / name).unlink(missing_ok=True)
        if folder:
            path.rmdir()


def append(file: TextIO, row: Row) -> None:
    """Add a row, and do not return before it is on the disk. Raises `SeriatimError` where it does not get there."""
    with _writing(Path(file.name).parent):
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SeriatimError(f"the run in {path} cannot be written: {error.strerror}") from error


def _settle(path: Path, settings: Mapping[str, Any], held: Mapping[str, Any]) -> None:
    """Write the settings down, where they are those that the run began with; one without rows has not begun.

    What may change comes to what was before: the budgets of both, the larger limit, and every machine, the last first.
    """
    if held and held.get("data_sha256") != settings.get("data_sha256"):
        raise UsageError(f"the run in {path} was made with other data; choose another folder with --run")
    for name, value in settings.items():
        if held and name not in _FREE and held.get(name) != value:
            raise UsageError(
                f"the run in {path} was made with {name} {held.get(name)}, not {value}; "
                "choose another folder with --run"
            )
    write_json(path / SETTINGS, dict(settings) | (_together(settings, held) if held else {}))


def _together(settings: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    limits = [each for each in (settings.get("limit"), held.get("limit")) if each is not None]
    budgets = {*settings.get("tokens", ()), *held.get("tokens", ())}
    before = [each for each in (held.get("machine"), *held.get("earlier_machines", ())) if each]
    earlier = [each for each in before if each != settings.get("machine")]
    return {
        "limit": max(limits) if len(limits) == 2 else None, "tokens": sorted(budgets),
        **({"earlier_machines": earlier} if earlier else {}),
    }  # fmt: skip


def _settings(path: Path) -> dict[str, Any] | None:
    """What `run.json` says; None where there is none."""
    file = path / SETTINGS
    data = _bytes(file)
    if data is None:
        return None
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SeriatimError(f"{file} is damaged ({error}); bring it back, or choose another folder") from error
    if not isinstance(settings, dict) or not all(isinstance(settings.get(name), str) for name in _SAID):
        raise SeriatimError(f"{file} does not say {', '.join(_SAID)} of a run; bring it back, or choose another folder")
    return settings


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SeriatimError(f"{file} cannot be read: {error.strerror}") from error


def _recovered(file: TextIO, path: Path) -> list[Row]:
    """The whole rows of `file`; the beginning of one, which a kill left at the end, is cut off."""
    data = _bytes(path / ROWS) or b""
    rows = list(_rows(data, path))
    file.truncate(data.rfind(b"\n") + 1)
    return rows


def _rows(data: bytes, path: Path) -> Iterator[Row]:
    """The rows in `data`, but for a last one without its end of line."""
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SeriatimError(f"{path / ROWS}, line {number}: damaged ({error}); remove that line") from error
        if not _is_row(row):
            raise SeriatimError(f"{path / ROWS}, line {number}: not a row of a run; remove that line")
        yield row


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and row.keys() >= {"context_tokens", "coverage"}
        and isinstance(row.get("question_id"), str)
        and isinstance(row.get("document"), str)
        and isinstance(row.get("tokens"), int)
        and all(isinstance(row.get(name), int | float | None) for name in _NUMBERS)
    )
