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
from pathlib import Path
from typing import Any, TypeVar

from seriatim.errors import UsageError
from seriatim.progress import Progress
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import FILE
from seriatim.server.errors import STOPPING, Busy, Conflict, NotFound, Unavailable

DEFAULT = "default"
"""The library of the command line."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_OPEN_PER_THREAD = 4
_SEARCH_THREADS = 2

T = TypeVar("T")


class Libraries:
    """A library is a folder below `libraries` in Seriatim's home; `default` is that of the command line.

    SQLite ties a connection to its thread, so every thread that searches, indexes or asks has its own: `opened`.
    Searches run in two threads of their own, and at most `most_searches` run or wait.
    """

    def __init__(self, home: Path, *, embedder: str | None, most_searches: int, most_libraries: int) -> None:
        self._home, self._embedder = home, embedder
        self._most_searches, self._most_libraries = most_searches, most_libraries
        self._removed: dict[str, int] = {}  # how often a library of that name was removed
        self._here = threading.local()
        self._threads = ThreadPoolExecutor(_SEARCH_THREADS, thread_name_prefix="search")
        self._pending: set[Future[Any]] = set()
        self._stopping = False

    def folder(self, name: str) -> Path:
        """The folder of a library that exists. Raises `NotFound`."""
        folder = self._place(name) if _NAME.fullmatch(name) else None
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
        taken = self.names()
        if name in taken:
            raise Conflict(f"there is a library {name} already; choose another name")
        if len(taken) >= self._most_libraries:
            raise Conflict(f"there are {len(taken)} libraries, and no more are allowed; remove one first")
        Library(self._place(name), embedder=self._embedder).close()

    def remove(self, name: str) -> None:
        """Remove a library with all that is in it. Raises `NotFound`, and `Conflict` for the default one."""
        folder = self.folder(name)
        if name == DEFAULT:
            raise Conflict("the default library is the command line's and stays; remove its documents instead")
        # A rename takes it away at once, whoever has it open, and a kill in between leaves nothing half removed.
        doomed = folder.with_name(f".removed-{secrets.token_hex(8)}")
        folder.rename(doomed)
        self._removed[name] = self._removed.get(name, 0) + 1
        shutil.rmtree(doomed, ignore_errors=True)

    def opened(self, name: str) -> Library:
        """This thread's own open library; it stays open for the next call."""
        folder = self.folder(name)
        kept: OrderedDict[str, tuple[int, Library]] = self._here.__dict__.setdefault("kept", OrderedDict())
        age = self._removed.get(name, 0)
        held = kept.pop(name, None)
        if held is not None and held[0] != age:  # that one was removed, and another has its name
            held[1].close()
            held = None
        is_new = not (folder / FILE).is_file()
        library = held[1] if held else Library(folder, embedder=self._embedder if is_new else None)
        kept[name] = (age, library)
        while len(kept) > _OPEN_PER_THREAD:
            kept.popitem(last=False)[1][1].close()
        library.notes.clear()
        return library

    def close_here(self) -> None:
        """Close what this thread has open."""
        kept: OrderedDict[str, tuple[int, Library]] = self._here.__dict__.pop("kept", OrderedDict())
        for _, library in kept.values():
            library.close()

    async def run(self, name: str, read: Callable[[Library], T]) -> T:
        """What `read` finds in a library, in one of the threads for searches. Raises `Busy`."""
        if len(self._pending) >= self._most_searches:
            raise Busy("too many searches are waiting; try again in a moment")
        work = self._threads.submit(lambda: read(self.opened(name)))
        self._pending.add(work)
        work.add_done_callback(self._pending.discard)  # not when nobody waits any more: it may run on for a moment
        return await asyncio.wrap_future(work)

    @contextmanager
    def while_awaited(self) -> Iterator[Progress]:
        """For a search in this block: what ends it once the block is left, as it is when the client is gone, or once the
        server stops."""
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
        met = threading.Barrier(_SEARCH_THREADS)  # else one thread might close its libraries twice, and the other never

        def leave() -> None:
            met.wait()
            self.close_here()

        for _ in range(_SEARCH_THREADS):
            self._threads.submit(leave)
        self._threads.shutdown(wait=True)

    def _place(self, name: str) -> Path:
        return self._home / "library" if name == DEFAULT else self._home / "libraries" / name
