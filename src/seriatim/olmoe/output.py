"""Outputs that are written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seriatim.errors import ModelError


@contextmanager
def written_whole(path: Path, size: int) -> Iterator[Path]:
    """A path to write a file or a folder of about `size` bytes to, which becomes `path` when the block is through.

    Where the block fails, or is interrupted, nothing is left of it. Raises `ModelError` where `path` exists already (an
    empty folder may), and where the disk has no room.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ModelError(f"{path} exists already: name a new path, or remove it first")
    room: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if size > free:
            raise ModelError(f"{path} would take {size / 1e9:.1f} GB, and {path.parent} has {free / 1e9:.1f} GB free")
        room = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        yield room / path.name
        os.replace(room / path.name, path)
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if room is not None:
            shutil.rmtree(room, ignore_errors=True)
