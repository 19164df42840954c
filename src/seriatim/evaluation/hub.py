"""∞Bench's data from the hub, at a pinned revision, kept from one run to the next."""

import os
from collections.abc import Callable
from pathlib import Path

from seriatim.errors import ModelError, SeriatimError
from seriatim.evaluation.tasks import Task
from seriatim.home import home
from seriatim.models import hub
from seriatim.models.resumable import fetch
from seriatim.models.transport import open_client

REPOSITORY = "xinrongzhang2022/InfiniteBench"
# The answers of 29 En.QA questions were changed once: a figure means something only together with the revision.
REVISION = "90f0394333616266d9fe85824ceaf505093cbaa5"

_CONNECT_S, _READ_S = 10.0, 60.0


def fetched(task: Task, progress: Callable[[str, int, int], None] | None = None) -> Path:
    """The task's JSONL file, fetched if it is not here yet; a fetch that was stopped goes on where it was.

    Raises `SeriatimError` where the hub cannot be reached or the disk does not take it.
    """
    folder = home() / "cache" / "datasets" / "InfiniteBench" / REVISION
    file, part = folder / task.file, folder / f"{task.file}.part"
    if file.exists():
        return file

    def show(done: int) -> None:
        if progress:
            progress(f"{task.file}: {done / 1e6:,.0f} MB", 0, 0)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open_client(connect_s=_CONNECT_S, read_s=_READ_S) as client:
            url = f"{hub.address()}/datasets/{REPOSITORY}/resolve/{REVISION}/{task.file}"
            fetch(client, url, part, headers=hub.headers(), show=show)
        os.replace(part, file)
    except ModelError as error:
        raise SeriatimError(
            f"the data of {task.name} could not be fetched: {error}; give a copy of {task.file} with --data"
        ) from error
    except OSError as error:
        raise SeriatimError(f"{file} cannot be written: {error.strerror}") from error
    return file
