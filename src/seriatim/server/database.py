"""What the server keeps beside the libraries: finished answers, and the uploads that wait to be indexed."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seriatim.errors import LibraryError
from seriatim.retrieval.connection import connect, explained, write_ahead

FILE = "server.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    library TEXT NOT NULL,
    created TEXT NOT NULL,
    whole TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    library TEXT NOT NULL,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    document TEXT,
    attempts INTEGER NOT NULL DEFAULT 0
)"""


class Database:
    """One SQLite file. Every statement is a transaction that is on the disk before the call returns; any thread may
    call."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._lock = threading.Lock()
        with explained(self._path):
            connect(self._path)[0].close()  # makes the folder, and says why where it cannot
            self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=60)
            write_ahead(self._db)
            self._db.execute("PRAGMA synchronous = FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                self._db.close()
                raise LibraryError(f"{self._path} was made by a newer Seriatim; use that one")
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        with self._lock, explained(self._path):
            return self._db.execute(statement, values).fetchall()

    def close(self) -> None:
        with self._lock:
            self._db.close()
