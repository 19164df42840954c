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

    Where the block fails, or is interrupted, nothing is left of it; what a kill leaves `remove_left` removes. Raises
    `ModelError` where `path` exists already (an empty folder may), where the disk has no room, and where a file that
    the block reads cannot be read.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ModelError(f"{path} exists already: name a new path, or remove it first")
    room: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(path, size)
        room = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        yield room / path.name
        os.replace(room / path.name, path)
    except OSError as error:
        reason = error.strerror or error
        if room is not None and _is_elsewhere(error, room):
            raise ModelError(f"{error.filename} cannot be read: {reason}") from error
        raise ModelError(f"{path} cannot be written: {reason}") from error
    finally:
        if room is not None:
            shutil.rmtree(room, ignore_errors=True)


def remove_left(path: Path) -> None:
    """Remove what kills have left of writing `path`, whose name may be a pattern, where nobody writes it now."""
    for left in path.parent.glob(f".{path.name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _check_space(path: Path, size: int) -> None:
    disk = shutil.disk_usage(path.parent)
    # A file system without a size, as /proc is, says itself why nothing can be written there.
    if disk.total and size > disk.free:
        raise ModelError(f"{path} would take {size / 1e9:.3g} GB, and {path.parent} has {disk.free / 1e9:.3g} GB free")


def _is_elsewhere(error: OSError, room: Path) -> bool:
    """Whether an error names files, and none of them is being written in `room`."""
    named = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return bool(named) and not any(Path(name).is_relative_to(room) for name in named)
