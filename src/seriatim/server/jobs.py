"""Uploads that are read and indexed in the background, one at a time."""

import logging
import secrets
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Lock
from typing import BinaryIO, Literal, ParamSpec

from seriatim.documents.extraction import document_error
from seriatim.documents.limits import Limits
from seriatim.documents.reading import parse
from seriatim.errors import LibraryError, SeriatimError
from seriatim.retrieval.library import Library
from seriatim.server import documents
from seriatim.server.database import Database
from seriatim.server.documents import Upload, document_id, upload
from seriatim.server.errors import Busy, NotFound
from seriatim.server.libraries import DEFAULT, Libraries

Given = ParamSpec("Given")
State = Literal["waiting", "reading", "done", "failed", "cancelled"]
_ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
_STEPS = 2  # the file is parsed, then its text is cut and indexed
_KEPT = 1000  # the latest, and those that wait
_ATTEMPTS = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What becomes of one upload. `done` of `total` steps are through; `document` is the id of what came of it."""

    id: str
    name: str
    library: str
    state: State
    done: int = 0
    total: int = _STEPS
    error: str | None = None
    document: str | None = None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


class Jobs:
    """The uploads, oldest first. Those that wait when the server ends, however it ends, go on
    with `resume`; one with which the server died three times is given up."""

    def __init__(self, libraries: Libraries, database: Database, *, most_waiting: int, text_bytes: int) -> None:
        self._libraries, self._database, self._most_waiting = libraries, database, most_waiting
        # Of markup, several bytes are unpacked for one of text.
        self._limits = Limits(expanded_bytes=4 * text_bytes, text_bytes=text_bytes)
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._stopping = False
        self._coming = 0  # files for which there is room, and which are not submitted yet
        self._current = ""  # the job that is being read, and what ends its parsing
        self._stop = Event()
        self._jobs: dict[str, Job] = {}

    def resume(self) -> None:
        """Go on with what waited when the last server ended; for the one process that serves this home."""
        waiting = self._database.run(
            "SELECT id, library, name, file, attempts FROM jobs WHERE state = 'waiting' ORDER BY number"
        )
        awaited = {file for _, _, _, file, _ in waiting}
        for library in self._libraries.names():
            if others := set(documents.kept_files(self._libraries.place(library))) - awaited:
                self._do(self._sweep, library, others)
        for key, library, name, file, attempts in waiting:
            self._jobs[key] = job = Job(key, name, library, "waiting")
            if attempts < _ATTEMPTS:
                self._do(self._run, key, Upload(name, file))
            else:
                why = f"the server died {attempts} times while it read {name}; split it into smaller files"
                self._end(job, "failed", error=why)

    @contextmanager
    def room(self, files: int) -> Iterator[None]:
        """A block in which so many files may be submitted. Raises `Busy` where there is no room for them."""
        with self._lock:
            waiting = sum(job.state == "waiting" for job in self._jobs.values())
            if waiting + self._coming + files > self._most_waiting:
                raise Busy("too many files wait to be indexed; add more when some are done")
            self._coming += files
        try:
            yield
        finally:
            with self._lock:
                self._coming -= files

    def submit(self, library: str, given: str, source: BinaryIO) -> Job:
        """Keep an upload, in a block that has `room` for it, and index it in its turn.

        Raises `NotFound` where the library is gone, and `DocumentError` where the upload cannot be kept.
        """
        folder = self._libraries.folder(library)
        if library == DEFAULT:  # the one that is there before its folder; any other's would be one without a library
            folder.mkdir(parents=True, exist_ok=True)
        key = secrets.token_hex(16)
        taken = upload(given, key)
        documents.keep(source, folder, taken.file)
        job = Job(key, taken.label, library, "waiting")
        self._database.run(
            "INSERT INTO jobs (id, library, name, file, state) VALUES (?, ?, ?, ?, 'waiting')",
            (key, library, taken.label, taken.file),
        )
        self._database.run(
            "DELETE FROM jobs WHERE state != 'waiting' AND number <= (SELECT max(number) FROM jobs) - ?", (_KEPT,)
        )
        with self._lock:
            self._jobs[key] = job
            ended = [each.id for each in self._jobs.values() if each.state in _ENDED]
            for old in ended[: max(0, len(self._jobs) - _KEPT)]:
                del self._jobs[old]
        self._do(self._run, key, taken)
        return job

    def get(self, key: str) -> Job:
        """A job by its id. Raises `NotFound`."""
        if job := self._jobs.get(key):
            return job
        rows = self._database.run("SELECT name, library, state, error, document FROM jobs WHERE id = ?", (key,))
        if not rows:
            raise NotFound(f"there is no job {key[:40]!r}; adding documents gives you their ids")
        name, library, state, error, document = rows[0]
        return Job(key, name, library, state, _STEPS if state == "done" else 0, _STEPS, error, document)

    def under_way(self, library: str) -> list[Job]:
        """The jobs of a library that have not ended, oldest first."""
        return [job for job in list(self._jobs.values()) if job.library == library and job.state not in _ENDED]

    def cancel(self, key: str) -> Job:
        """Cancel a job that is not done yet. What it was reading comes to nothing."""
        job = self.get(key)
        if job.state in _ENDED:
            return job
        ended = self._end(job, "cancelled")
        if self._current == key:
            self._stop.set()
        return ended

    def close(self) -> None:
        """Leave the file that is being parsed, and those that wait, for the next start."""
        self._stopping = True
        self._stop.set()
        self._thread.submit(self._libraries.close_here)
        self._thread.shutdown(wait=True)

    def _do(self, task: Callable[Given, None], *args: Given.args, **kwargs: Given.kwargs) -> None:
        """Do something in the thread for indexing; nobody asks what became of it, so what fails there is logged."""
        self._thread.submit(task, *args, **kwargs).add_done_callback(_log_failure)

    def _run(self, key: str, taken: Upload) -> None:
        self._current, self._stop = key, Event()  # before anything is looked at: a stop sets this one, or is seen
        job = self._jobs.get(key)
        if self._stopping or job is None or job.state != "waiting":
            return
        try:
            self._read(job, taken)
        except SeriatimError as error:
            if self._stopping:  # it is still "waiting" on the disk
                self._database.run("UPDATE jobs SET attempts = attempts - 1 WHERE id = ?", (key,))
                return
            if isinstance(error, LibraryError):
                _log.error("indexing %s: %s", taken.file, error)
            self._end(job, "failed", error=str(error))
        except FileNotFoundError:  # the job was cancelled, or its library removed
            self._end(job, "cancelled")
        except Exception as error:
            _log.exception("indexing %s", taken.file)
            self._end(job, "failed", error=f"{taken.label} could not be indexed ({type(error).__name__}): add it again")

    def _read(self, job: Job, taken: Upload) -> None:
        # Counted before it is read, for a file may be such that the server does not live to count it afterwards.
        self._database.run("UPDATE jobs SET attempts = attempts + 1 WHERE id = ?", (job.id,))
        job = self._change(job, "reading")
        library = self._libraries.opened(job.library)
        file = library.path / documents.FILES / taken.file
        document = self._index(library, job, taken, file)
        if document is None or self._end(job, "done", document=document).state == "cancelled":
            _take_back(library, taken)

    def _sweep(self, name: str, files: Collection[str]) -> None:
        """Remove those of `files` that belong to no document: a kill left them."""
        library = self._libraries.opened(name)
        held = {info.name.partition("/")[0] for info in library.documents()}
        for file in files:
            if file.partition(".")[0] not in held:  # of one half written that is ""
                (library.path / documents.FILES / file).unlink(missing_ok=True)

    def _index(self, library: Library, job: Job, taken: Upload, file: Path) -> str | None:
        """Read and index a file. Returns the document's id, that of the earlier one where the library has these very
        bytes, or None where the job was cancelled meanwhile."""
        parsed = parse(taken.document, file.read_bytes(), limits=self._limits, stop=self._stop)
        held = library.documents()
        for info in held:
            if info.sha256 == parsed.sha256:
                if info.name.partition("/")[0] != taken.key:
                    file.unlink(missing_ok=True)
                return document_id(info.name)
        taken = documents.renamed(taken, {documents.shown_name(info.name) for info in held})
        parsed = replace(parsed, name=taken.document)
        if self._change(job, "reading", done=1).state == "cancelled":
            return None
        library.add_document(parsed, progress=lambda *_: self._go_on(taken))
        return document_id(taken.document)

    def _go_on(self, taken: Upload) -> None:
        """Raise `DocumentError` where the job is cancelled or the server stops."""
        if self._stop.is_set():
            raise document_error(taken.document, "was left unread; add it again")

    def _change(self, job: Job, state: State, **changes: object) -> Job:
        """The job in its new state; or as it is, where it has ended, for whoever ends a job first has the last word."""
        with self._lock:
            held = self._jobs.get(job.id, job)
            if held.state in _ENDED:
                return held
            changed = replace(held, state=state, **changes)  # type: ignore[arg-type]
            self._jobs[job.id] = changed
            return changed

    def _end(self, job: Job, state: State, *, error: str | None = None, document: str | None = None) -> Job:
        done = _STEPS if state == "done" else job.done
        ended = self._change(job, state, error=error, document=document, done=done)
        if ended.state != state:
            return ended
        self._database.run(
            "UPDATE jobs SET state = ?, error = ?, document = ? WHERE id = ?", (state, error, document, job.id)
        )
        if state in ("failed", "cancelled"):
            self._drop_file(job)
        return ended

    def _drop_file(self, job: Job) -> None:
        rows = self._database.run("SELECT file FROM jobs WHERE id = ?", (job.id,))
        for (file,) in rows:
            (self._libraries.place(job.library) / documents.FILES / file).unlink(missing_ok=True)


def _log_failure(task: "Future[None]") -> None:
    if error := task.exception():
        _log.error("indexing: %s", error, exc_info=None if isinstance(error, SeriatimError) else error)


def _take_back(library: Library, taken: Upload) -> None:
    """Remove what became of an upload that was cancelled while it was indexed."""
    library.remove([info.name for info in library.documents() if info.name.partition("/")[0] == taken.key])
    (library.path / documents.FILES / taken.file).unlink(missing_ok=True)
