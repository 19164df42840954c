"""The libraries of a server: their folders, and the threads in which they are open."""

import asyncio
import re
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from seriatim.errors import LibraryError, UsageError
from seriatim.progress import Progress
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import FILE
from seriatim.server.errors import STOPPING, Busy, Conflict, NotFound, Unavailable

DEFAULT = "default"
"""The library of the command line."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_OPEN_PER_THREAD = 4
_THREADS = 2  # of either kind

T = TypeVar("T")


class Libraries:
    """A library is a folder below `libraries` in Seriatim's home; `default` is that of the command line.

    SQLite ties a connection to its thread, so every thread that searches, indexes or asks has its own: `opened`.
    What takes long, such as a search that embeds, has two threads of its own, lest the rest wait for it, and the rest
    has two. At most `most_searches` of all run or wait.
    """

    def __init__(self, home: Path, *, embedder: str | None, most_searches: int, most_libraries: int) -> None:
        self._home, self._embedder = home, embedder
        self._most_searches, self._most_libraries = most_searches, most_libraries
        self._removed: dict[str, int] = {}  # how often a library of that name was removed
        self._lock = threading.RLock()  # who has it knows that no library is made or removed meanwhile
        self._here = threading.local()
        self._quick = ThreadPoolExecutor(_THREADS, thread_name_prefix="read")
        self._long = ThreadPoolExecutor(_THREADS, thread_name_prefix="search")
        self._pending: set[Future[Any]] = set()
        self._stopping = False
        for left in (home / "libraries").glob(".removed-*"):  # by a kill
            shutil.rmtree(left, ignore_errors=True)

    def place(self, name: str) -> Path:
        """Where a library of that name is, if it is anywhere."""
        return self._home / "library" if name == DEFAULT else self._home / "libraries" / name

    def folder(self, name: str) -> Path:
        """The folder of a library that exists. Raises `NotFound`."""
        folder = self.place(name) if _NAME.fullmatch(name) else None
        if folder is None or not (name == DEFAULT or (folder / FILE).is_file()):
            raise NotFound(f"there is no library {name[:64]!r}; list the libraries to see which there are")
        return folder

    def names(self) -> list[str]:
        """All libraries, the default one first."""
        found = [path.parent.name for path in (self._home / "libraries").glob(f"*/{FILE}")]
        return [DEFAULT, *sorted(name for name in found if _NAME.fullmatch(name) and name != DEFAULT)]

    def create(self, name: str) -> None:
        """Make an empty library. Raises `UsageError` for a name that is none, `Conflict` for one that is taken."""
        if not _NAME.fullmatch(name):
            raise UsageError("a library's name has 1 to 64 of the characters a-z, 0-9 and -; choose such a name")
        with self._lock:
            taken = self.names()
            if name in taken:
                raise Conflict(f"there is a library {name} already; choose another name")
            if len(taken) >= self._most_libraries:
                raise Conflict(f"there are {len(taken)} libraries, and no more are allowed; remove one first")
            Library(self.place(name), embedder=self._embedder).close()

    def remove(self, name: str, forget: Callable[[str], None]) -> None:
        """Remove a library with all that is in it, and `forget` what else is kept of it.

        Raises `NotFound`, and `Conflict` for the default one.
        """
        with self._lock:
            folder = self.folder(name)
            if name == DEFAULT:
                raise Conflict("the default library is the command line's and stays; remove its documents instead")
            forget(name)  # first: after a kill in between, a new library of that name must not have it
            # A rename takes it away at once, whoever has it open, and a kill in between leaves nothing half removed.
            doomed = folder.with_name(f".removed-{secrets.token_hex(8)}")
            folder.rename(doomed)
            self._removed[name] = self._removed.get(name, 0) + 1
        shutil.rmtree(doomed, ignore_errors=True)

    def opened(self, name: str) -> Library:
        """This thread's own open library; it stays open for the next call."""
        kept: OrderedDict[str, tuple[int, Library]] = self._here.__dict__.setdefault("kept", OrderedDict())
        with self._lock:
            for each in [each for each, (age, _) in kept.items() if age != self._removed.get(each, 0)]:
                kept.pop(each)[1].close()  # removed since: it would keep its space on the disk
            folder, age = self.folder(name), self._removed.get(name, 0)
            library = kept.pop(name)[1] if name in kept else self._open(folder)
        kept[name] = (age, library)
        while len(kept) > _OPEN_PER_THREAD:
            kept.popitem(last=False)[1][1].close()
        library.notes.clear()
        return library

    @contextmanager
    def staying(self, name: str, library: Library) -> Iterator[None]:
        """A block in which `library`, which this thread has open, is not removed.

        Raises `NotFound` where it has been, though another may have its name now.
        """
        with self._lock:
            if self.opened(name) is not library:
                raise NotFound(f"the library {name} was removed meanwhile; ask another one")
            yield

    def close_here(self) -> None:
        """Close what this thread has open."""
        kept: OrderedDict[str, tuple[int, Library]] = self._here.__dict__.pop("kept", OrderedDict())
        for _, library in kept.values():
            library.close()

    async def run(self, name: str, read: Callable[[Library], T], *, is_long: bool = False) -> T:
        """What `read` finds in a library, in one of the threads for this. Raises `Busy`."""
        return await self._in_thread(self._long if is_long else self._quick, lambda: read(self.opened(name)))

    async def each(self, read: Callable[[Library], T]) -> list[tuple[str, T | LibraryError]]:
        """What `read` finds in every library, by name, or why one cannot be opened. Raises `Busy`.

        They are opened for this alone, lest a list of many take the place of those that are searched.
        """
        found: list[tuple[str, T | LibraryError]] = []
        for name in self.names():
            try:
                found.append((name, await self._in_thread(self._quick, partial(self._glance, name, read))))
            except NotFound:
                pass  # removed meanwhile
            except LibraryError as error:
                found.append((name, error))
        return found

    @contextmanager
    def while_awaited(self) -> Iterator[Progress]:
        """The progress of a search that ends with this block, as when the client is gone, or when the server stops."""
        awaited = True

        def go_on(*_: object) -> None:
            if self._stopping or not awaited:
                raise Unavailable(STOPPING)

        try:
            yield go_on
        finally:
            awaited = False

    def stop(self) -> None:
        """Leave the searches under way."""
        self._stopping = True

    def close(self) -> None:
        """Wait for the searches, and close all that they had open."""
        for threads in (self._quick, self._long):
            met = threading.Barrier(_THREADS)  # else one might close its libraries twice, and the other never
            for _ in range(_THREADS):
                threads.submit(self._leave, met)
            threads.shutdown(wait=True)

    def _leave(self, met: threading.Barrier) -> None:
        met.wait()
        self.close_here()

    async def _in_thread(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if len(self._pending) >= self._most_searches:
            raise Busy("too many searches are waiting; try again in a moment")
        searching = threads.submit(work)
        self._pending.add(searching)
        searching.add_done_callback(self._pending.discard)  # who waits for it may be gone before
        return await asyncio.wrap_future(searching)

    def _glance(self, name: str, read: Callable[[Library], T]) -> T:
        with self._lock:
            library = self._open(self.folder(name))
        with library:
            return read(library)

    def _open(self, folder: Path) -> Library:
        is_new = not (folder / FILE).is_file()
        return Library(folder, embedder=self._embedder if is_new else None)
