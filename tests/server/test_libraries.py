"""The libraries of a server and the threads in which they are open."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from seriatim.server.libraries import Libraries


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[Libraries]:
    opened = Libraries(tmp_path, embedder="static", most_searches=8, most_libraries=20)
    yield opened
    opened.close()


def test_one_long_search_holds_no_other_up(libraries: Libraries) -> None:
    through = threading.Event()

    async def run() -> None:
        long = asyncio.create_task(libraries.run("default", lambda _: through.wait(30)))
        await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*(libraries.run("default", lambda _: None) for _ in range(6))), 10)
        assert not long.done()
        through.set()
        assert await long

    asyncio.run(run())


@pytest.mark.parametrize("used", [0, 1, 2])
def test_at_the_end_each_thread_closes_what_it_has_open(tmp_path: Path, used: int) -> None:
    libraries = Libraries(tmp_path, embedder="static", most_searches=8, most_libraries=20)
    together = threading.Barrier(max(1, used))

    async def run() -> None:
        await asyncio.gather(*(libraries.run("default", lambda _: together.wait(10)) for _ in range(used)))

    asyncio.run(run())
    libraries.close()
    assert not list(tmp_path.rglob("*-wal"))  # the last connection takes it away
