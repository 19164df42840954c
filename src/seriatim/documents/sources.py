"""What a person names on the command line → the sources to read, and their bytes."""

import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

from seriatim.documents.decoding import decode
from seriatim.documents.extraction import Unreadable, document_error, printable
from seriatim.documents.formats import HEAD_BYTES, READABLE, SUFFIXES, foreign, sniff
from seriatim.documents.limits import MAX_SOURCE_BYTES, in_words
from seriatim.errors import UsageError

Source = Path | Literal["-"]
Named = str | Path | Iterable[str | Path]
Report = Callable[[str | Path, str], None]
Visited = set[tuple[int, int]]

_WILDCARDS = frozenset("*?[")
_UNNAMEABLE = "its name is not valid Unicode; rename it"


def listed(named: Named) -> list[str | Path]:
    """What a caller named, as a list: one path or name may stand alone. Raises `UsageError` for anything else."""
    if isinstance(named, str | Path):
        return [named]
    if isinstance(named, Iterable):
        names = list(named)
        if all(isinstance(name, str | Path) for name in names):
            return names
    raise UsageError(f"a document is named by a str or a Path, or several by a list of these, not by {named!r}")


def find_sources(paths: Iterable[str | Path], also: Collection[str] = ()) -> tuple[list[Source], list[tuple[str, str]]]:
    """The sources that `paths` name, each once, in order, and what cannot be read as (name, reason in one line).

    A path is a file, a folder, a pattern (`*.txt`, `notes/**`) or "-" for standard input. Folders and patterns give
    the files below them in the order of their paths, without hidden ones and those of other types; a file that is
    named itself may have any suffix as long as it looks like text. Files come back resolved.

    Files with suffixes of `also`, in lower case, are taken as well, and keep their own names where they are links: the
    suffix alone says what they are.
    """
    sources: dict[Source, None] = {}
    problems: dict[tuple[str, str], None] = {}

    def report(path: str | Path, reason: str) -> None:
        problems[printable(str(path)), reason] = None

    for path in paths:
        if str(path) == "-":
            sources["-"] = None
            continue
        try:
            found = list(_expand(path, report, also))
        except (OSError, ValueError, RuntimeError) as error:
            report(path, _in_words(error))
            continue
        for file in found:
            if _is_nameable(file):
                sources[file] = None
            else:
                report(file, _UNNAMEABLE)
    return list(sources), list(problems)


def read_source(source: Source) -> bytes:
    """The bytes of a source. Raises `DocumentError` when it is missing, not a file, unreadable, empty or too large."""
    name = str(source)
    try:
        if name == "-":
            if sys.stdin is None:
                raise document_error(name, "is closed; name a file instead")
            data = sys.stdin.buffer.read(MAX_SOURCE_BYTES + 1)
        else:
            data = _read_file(Path(source))
    except (OSError, ValueError) as error:
        raise document_error(name, f"cannot be read: {_in_words(error)}") from error
    if len(data) > MAX_SOURCE_BYTES:
        raise document_error(name, f"is larger than {in_words(MAX_SOURCE_BYTES)}; split it into smaller files")
    if not data:
        raise document_error(name, "is empty; there is nothing to read")
    return data


def _read_file(path: Path) -> bytes:
    # Asked beforehand, since opening a named pipe would wait for someone to write to it.
    if path.is_dir():
        raise document_error(str(path), "is a folder; name the files in it")
    if not stat.S_ISREG(path.stat().st_mode):
        raise document_error(str(path), "is not a regular file; pass its contents on standard input, as -")
    with path.open("rb") as file:
        return file.read(MAX_SOURCE_BYTES + 1)


def _expand(named: str | Path, report: Report, also: Collection[str]) -> Iterator[Path]:
    """The files that one path names, resolved; what is wrong with it goes to `report`."""
    readable = " ".join([READABLE, *also])
    if not str(named):
        report(named, "an empty path; name a file or a folder")
        return
    path = Path(named).expanduser()
    if path.is_dir():
        found = False
        for file in _files_below(path, report, set(), also):
            found = True
            yield _resolved(file, also)
        if not found:
            report(named, f"a folder without any document; Seriatim reads {readable}")
    elif path.exists():
        if reason := _why_not(path, also):
            report(named, reason)
        else:
            yield _resolved(path, also)
    elif "://" in str(named):
        report(named, "an address; download it and name the file")
    elif _WILDCARDS & set(str(path)):
        found = False
        for file in _matches(path, report, also):
            found = True
            yield _resolved(file, also)
        if not found:
            report(named, f"matches no document; Seriatim reads {readable}")
    else:
        report(named, "no such file or folder")


def _matches(pattern: Path, report: Report, also: Collection[str]) -> Iterator[Path]:
    """The files that a pattern matches, and those below the folders that it matches."""
    # Unlike the glob module, pathlib's does not follow links below "**", which may lead round in circles.
    matches = sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    hidden_asked = _is_hidden(pattern)
    visited: Visited = set()
    for match in matches:
        if _is_hidden(match) and not hidden_asked:
            continue
        for file in _files_below(match, report, visited, also) if match.is_dir() else [match]:
            # A pattern that ends in ".log" asks for just that suffix.
            asked = file.suffix == pattern.suffix != "" and _why_not(file, also) is None
            if asked or _is_document(file, also):
                yield file


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") and part != ".." for part in path.parts)


def _files_below(folder: Path, report: Report, visited: Visited, also: Collection[str]) -> Iterator[Path]:
    """The documents in `folder` and the folders below it, in the order of their paths, without hidden ones.

    Links are followed; a folder in `visited` is passed over, so that none is walked twice.
    """
    try:
        status = folder.stat()
        names = sorted(os.listdir(folder))
    except OSError as error:
        report(folder, _in_words(error))
        return
    if (status.st_dev, status.st_ino) in visited:
        return
    visited.add((status.st_dev, status.st_ino))
    for name in names:
        path = folder / name
        if name.startswith("."):
            continue
        # os.path answers no where pathlib would raise for want of permission.
        if os.path.isdir(path):
            yield from _files_below(path, report, visited, also)
        elif _is_document(path, also):
            yield path


def _is_document(path: Path, also: Collection[str]) -> bool:
    return (path.suffix.lower() in SUFFIXES or path.suffix.lower() in also) and os.path.isfile(path)


def _resolved(path: Path, also: Collection[str]) -> Path:
    return path.parent.resolve() / path.name if path.suffix.lower() in also else path.resolve()


def _why_not(path: Path, also: Collection[str]) -> str | None:
    """Why a file that was named itself is not read; None when it is, which any text is whatever its suffix."""
    if not path.is_file():
        return "not a regular file; pass its contents on standard input, as -"
    if path.suffix.lower() in SUFFIXES or path.suffix.lower() in also:
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return _in_words(error)
    readable = sniff(head) is not None or (foreign(head) is None and _looks_like_text(head))
    return None if readable else f"unknown type; Seriatim reads {' '.join([READABLE, *also])}"


def _looks_like_text(head: bytes) -> bool:
    try:
        decode(head)
    except Unreadable:
        return False
    return True


def _is_nameable(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_words(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or str(error)).lower().rstrip(".")
