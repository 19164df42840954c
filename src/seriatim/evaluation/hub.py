"""The benchmarks' data from the hub, at pinned revisions, kept from one run to the next."""

import os
from pathlib import Path

from seriatim.errors import ModelError, SeriatimError
from seriatim.evaluation.tasks import Task
from seriatim.home import home
from seriatim.models import hub
from seriatim.models.resumable import fetch
from seriatim.models.transport import open_client
from seriatim.progress import Progress

REPOSITORY = "xinrongzhang2022/InfiniteBench"
# The answers of 29 En.QA questions were changed once: a figure means something only together with the revision.
REVISION = "90f0394333616266d9fe85824ceaf505093cbaa5"


_CONNECT_S, _READ_S = 10.0, 60.0


def fetched(task: Task, progress: Progress | None = None) -> Path:
    """The task's JSONL file of ∞Bench, fetched if it is not here yet.

    Raises `SeriatimError` where the hub cannot be reached or the disk does not take it.
    """
    hint = f"give a copy of {task.file} with --data"
    return fetched_file(REPOSITORY, REVISION, task.file, hint, progress)


def fetched_file(repository: str, revision: str, name: str, hint: str, progress: Progress | None = None) -> Path:
    """A file of a data set on the hub, fetched if it is not here yet; a fetch that was stopped goes on where it was.

    `hint` says what to do where the hub is out of reach. Raises `SeriatimError` then, or where the disk does not take
    the file.
    """
    file = home() / "cache" / "datasets" / repository.rpartition("/")[2] / revision / name
    part = file.with_name(f"{file.name}.part")
    if file.exists():
        return file

    def show(done: int) -> None:
        if progress:
            progress(f"{file.name}: {done / 1e6:,.0f} MB", 0, 0)

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open_client(connect_s=_CONNECT_S, read_s=_READ_S) as client:
            url = f"{hub.address()}/datasets/{repository}/resolve/{revision}/{name}"
            fetch(client, url, part, headers=hub.headers(), show=show)
        os.replace(part, file)
    except ModelError as error:
        raise SeriatimError(f"{repository} could not be fetched: {error}; {hint}") from error
    except OSError as error:
        raise SeriatimError(f"{file} cannot be written: {error.strerror}") from error
    return file
