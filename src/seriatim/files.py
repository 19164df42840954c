"""Files on disk: replaced whole, told apart by their content, kept to one process."""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def sha256(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises `OSError` where it cannot be read."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def write_text(file: Path, text: str) -> None:
    """Let `file` hold `text`, whole or as it was before; its folder is made. Raises `OSError` where it cannot be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def write_json(file: Path, value: Any) -> None:
    """Let `file` hold `value` as JSON, as `write_text` does."""
    write_text(file, json.dumps(value, indent=1) + "\n")


@contextmanager
def claimed(lock: Path) -> Iterator[bool]:
    """Whether this process alone has the file `lock`, while the block runs; the system takes it away from a process
    that dies. Raises `OSError` where the file cannot be made."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
