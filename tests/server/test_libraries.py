"""The libraries of a server: the threads in which they are open, and what becomes of them when they are removed."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from seriatim.retrieval.library import Library
from seriatim.server import jobs
from seriatim.server.errors import Conflict, NotFound
from seriatim.server.libraries import Libraries
from tests.retrieval.conftest import ORCHARD, VOYAGE
from tests.server.conftest import QUESTION, Served, serving


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


def removed_meanwhile(served: Served, meanwhile: Any) -> list[tuple[str, Any]]:
    """The events of an answer whose library is removed, and whatever else happens, while the model writes it."""
    served.model.held.clear()
    found: list[tuple[str, Any]] = []
    asking = threading.Thread(target=lambda: found.extend(served.ask(library="letters", reflect=False)))
    asking.start()
    while not served.model.running:
        time.sleep(0.01)
    assert served.http.delete("/api/libraries/letters").status_code == 204
    meanwhile()
    served.model.held.set()
    asking.join()
    return found


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[Served]:
    """A server with a library besides the default one."""
    with serving(tmp_path / "home") as served:
        served.http.post("/api/libraries", json={"name": "letters"})
        served.upload(("voyage.md", VOYAGE.encode()), library="letters")
        yield served


@pytest.mark.parametrize("again", [False, True])
def test_an_answer_to_a_library_that_is_removed_is_not_kept(letters: Served, again: bool) -> None:
    def make() -> None:
        if again:
            assert letters.http.post("/api/libraries", json={"name": "letters"}).status_code == 201

    kind, told = removed_meanwhile(letters, make)[-1]
    assert (kind, told["type"]) == ("error", "not_found")
    assert letters.http.get("/api/answers").json() == []


def test_what_else_is_kept_is_forgotten_before_the_library_goes(libraries: Libraries) -> None:
    libraries.create("letters")
    forgotten = []
    libraries.remove("letters", lambda name: forgotten.append((name, libraries.folder(name).is_dir())))
    assert forgotten == [("letters", True)]
    for kept, error in (("default", Conflict), ("letters", NotFound)):
        with pytest.raises(error):
            libraries.remove(kept, lambda name: forgotten.append((name, True)))
    assert forgotten == [("letters", True)]


def test_of_two_who_remove_a_library_one_is_told_that_it_is_gone(letters: Served) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(letters.http.delete, ["/api/libraries/letters"] * 8)
        assert sorted(answer.status_code for answer in answers) == [204] + [404] * 7


def test_a_library_that_is_removed_leaves_the_list(libraries: Libraries, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries.create("letters")
    monkeypatch.setattr(libraries, "names", lambda: ["default", "removed", "letters"])
    found = asyncio.run(libraries.each(lambda opened: opened.path.name))
    assert found == [("default", "library"), ("letters", "letters")]


def test_a_list_of_all_closes_none_that_is_searched(libraries: Libraries) -> None:
    for number in range(8):
        libraries.create(f"letters-{number}")

    async def run() -> None:
        both = threading.Barrier(2)

        def searched(opened: Library) -> int:
            both.wait(10)
            return id(opened)

        before = set(await asyncio.gather(*(libraries.run("default", searched) for _ in range(2))))
        assert len(await libraries.each(lambda opened: opened.size())) == 9
        assert set(await asyncio.gather(*(libraries.run("default", searched) for _ in range(2)))) == before

    asyncio.run(run())


def test_a_removed_library_is_closed_by_the_next_use_of_any(libraries: Libraries) -> None:
    libraries.create("letters")
    libraries.opened("letters")
    libraries.remove("letters", lambda _: None)
    assert deleted_files()
    libraries.opened("default")
    assert not deleted_files()
    libraries.close_here()


def deleted_files() -> list[str]:
    """The files that this process has open and that are in no folder any more."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    return [each for each in targets if "library.sqlite" in each and each.endswith(" (deleted)")]


def test_what_a_kill_left_of_a_removed_library_goes_at_the_start(tmp_path: Path) -> None:
    left = tmp_path / "libraries" / ".removed-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "library.sqlite").write_bytes(b"much")
    Libraries(tmp_path, embedder="static", most_searches=8, most_libraries=20).close()
    assert not left.exists()


@pytest.mark.parametrize("when", ["the file comes", "it waits"])
def test_a_file_for_a_library_that_is_removed_leaves_nothing(
    letters: Served, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    kept = jobs.documents.keep

    def removed(*_: object) -> None:
        assert letters.http.delete("/api/libraries/letters").status_code == 204

    def meanwhile(*given: Any) -> None:
        if when == "it waits":
            kept(*given)
        removed()
        if when == "the file comes":
            kept(*given)

    monkeypatch.setattr(jobs.documents, "keep", meanwhile)
    files = [("files", ("orchard.txt", ORCHARD.encode()))]
    sent = letters.http.post("/api/libraries/letters/documents", files=files)
    if when == "the file comes":
        assert sent.status_code == 404
        assert "removed while the upload came" in sent.json()["error"]["message"]
    else:
        job = letters.finished(sent.json()["jobs"][0]["id"])
        assert (job["state"], job["error"][:16]) == ("failed", "there is no libr")
    assert list((letters.home / "libraries").iterdir()) == []


def test_of_those_who_make_one_library_one_is_told_that_it_has(libraries: Libraries) -> None:
    together = threading.Barrier(8)

    def make() -> bool:
        together.wait()
        try:
            libraries.create("twice")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(each.result() for each in [threads.submit(make) for _ in range(8)]) == 1


def test_an_upload_for_which_there_is_no_room_is_not_taken_in_part(tmp_path: Path) -> None:
    with serving(tmp_path, limits={"indexing": 3}) as served:
        files = [("files", (f"{number}.txt", f"{number} {ORCHARD}".encode())) for number in range(8)]
        assert served.http.post("/api/libraries/default/documents", files=files).status_code == 429
        assert served.http.get("/api/libraries/default/jobs").json() == []
        assert not list(tmp_path.rglob("*.txt"))
        assert served.http.post("/api/libraries/default/documents", files=files[:3]).status_code == 202


def test_a_follow_up_stays_in_its_library(letters: Served) -> None:
    first = letters.ask(library="letters", reflect=False)[-1][1]["id"]
    letters.upload(("orchard.txt", ORCHARD.encode()))
    body = {"question": QUESTION, "after": first}
    assert letters.http.post("/api/libraries/default/ask", json=body).status_code == 404
    assert letters.ask(library="letters", after=first)[-1][0] == "answer"
