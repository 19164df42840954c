"""How a library file is opened, and what people are told where SQLite refuses."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seriatim.errors import LibraryError

RESTORE = "restore it from a backup, or move it away and add the documents again. Nothing was changed"
_BUSY_S = 60.0


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection, and whether it may write; a library in a folder that cannot be written is opened for reading."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(f"the library folder {path.parent} cannot be made: {error.strerror}") from error
    if not os.access(path.parent, os.R_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK)):
        raise LibraryError(
            f"the library {path.parent} cannot be read: permission denied; ask its owner, or use --library elsewhere"
        )
    writable = os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    if not writable and not path.exists():
        raise LibraryError(
            f"there is no library in {path.parent}, and the folder is read-only; choose another with --library"
        )
    # In a read-only folder SQLite cannot make the files that write-ahead logging shares between processes; a library
    # that nobody is writing needs none of them; somebody else is, or was stopped at it, where the log stands beside it.
    is_still = not Path(f"{path}-wal").exists()
    mode = "mode=rwc" if writable else "mode=ro&immutable=1" if is_still else "mode=ro"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db, writable


def write_ahead(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, which lets others read while one writes."""
    # Where two processes switch a new file at once, SQLite refuses one without the wait that it grants elsewhere.
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite reports of the library at `path` into a `LibraryError` for people."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explanation(path, error) from error


def _explanation(path: Path, error: sqlite3.Error) -> LibraryError:
    code = getattr(error, "sqlite_errorname", None) or ""
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return LibraryError(
            f"the library {path.parent} has been closed; open it again with Library({str(path.parent)!r})"
        )
    if isinstance(error, sqlite3.ProgrammingError) and "thread" in str(error):
        return LibraryError(f"the library {path.parent} was opened in another thread; open it once in each thread")
    if code.startswith("SQLITE_FULL") or code in ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"):
        return LibraryError(
            f"the disk that holds {path.parent} is full; free some space and run the same command again. "
            "What the library held is untouched"
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return LibraryError(
            f"the library {path.parent} cannot be written; make it writable, or use --library elsewhere"
        )
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryError(
            f"the library {path.parent} has been busy for {_BUSY_S:.0f} s with another process; try again later"
        )
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LibraryError(f"{path} is damaged ({error}); {RESTORE}")
    return LibraryError(f"the library {path.parent} cannot be used: {error} ({code or type(error).__name__})")
