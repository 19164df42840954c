"""Uploads in the background: cancelled, interrupted, taken up again."""

import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seriatim.errors import DocumentError, LibraryError
from seriatim.retrieval import library as retrieval
from seriatim.retrieval.library import Library
from seriatim.server import documents, jobs
from seriatim.server.database import Database
from seriatim.server.errors import Busy, NotFound
from seriatim.server.jobs import Job, Jobs
from seriatim.server.libraries import Libraries
from tests.documents import making
from tests.retrieval.conftest import VOYAGE
from tests.server.conftest import Served, serving


def endless() -> bytes:
    """A PDF whose parsing takes minutes: thousands of pages, each with a great many letters."""
    content = making.deflated(b"BT /F 1 Tf ", b"1 0 0 1 9 9 Tm (abcdefghij) Tj " * 100, 200) + b""
    return making.pdf_by_hand(3000, content, deflated=True)


def begun(served: Served) -> str:
    sent = served.http.post("/api/libraries/default/documents", files=[("files", ("endless.pdf", endless()))])
    key: str = sent.json()["jobs"][0]["id"]
    while served.http.get(f"/api/jobs/{key}").json()["state"] == "waiting":
        time.sleep(0.01)
    assert served.http.get(f"/api/jobs/{key}").json()["state"] == "reading"
    return key


def test_a_cancelled_upload_ends_at_once_and_the_next_is_read(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        key = begun(served)
        time.sleep(0.5)
        began = time.monotonic()
        assert served.http.delete(f"/api/jobs/{key}").json()["state"] == "cancelled"
        (job,) = served.upload(("voyage.md", VOYAGE.encode()))
        assert job["state"] == "done"
        assert time.monotonic() - began < 5
        assert served.http.get(f"/api/jobs/{key}").json()["state"] == "cancelled"
        assert [each["name"] for each in served.http.get("/api/libraries/default/documents").json()] == ["voyage.md"]
        assert not list(tmp_path.rglob("*.pdf"))


def test_a_stop_does_not_wait_for_a_file_and_the_next_start_reads_it_again(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        key = begun(served)
        assert [each["id"] for each in served.http.get("/api/libraries/default/jobs").json()] == [key]
        assert served.http.get("/api/libraries/none/jobs").status_code == 404
        began = time.monotonic()
    assert time.monotonic() - began < 5
    with serving(tmp_path) as served:
        while served.http.get(f"/api/jobs/{key}").json()["state"] == "waiting":
            time.sleep(0.01)
        assert served.http.get(f"/api/jobs/{key}").json()["state"] == "reading"
        assert served.http.delete(f"/api/jobs/{key}").json()["state"] == "cancelled"


def test_an_upload_that_waits_is_cancelled_before_its_turn(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        first = begun(served)
        sent = served.http.post("/api/libraries/default/documents", files=[("files", ("v.md", VOYAGE.encode()))])
        second = sent.json()["jobs"][0]["id"]
        assert served.http.get(f"/api/jobs/{second}").json()["state"] == "waiting"
        assert served.http.delete(f"/api/jobs/{second}").json()["state"] == "cancelled"
        served.http.delete(f"/api/jobs/{first}")
        (job,) = served.upload(("voyage.md", VOYAGE.encode()))
        assert job["state"] == "done"
        assert served.http.get("/api/libraries/default/documents").json()[0]["name"] == "voyage.md"


@contextmanager
def jobs_of(home: Path) -> Iterator[Jobs]:
    """The jobs of a home without a server; when this ends, they are through."""
    database = Database(home)
    libraries = Libraries(home, embedder="static", most_searches=8, most_libraries=8)
    held = Jobs(libraries, database, most_waiting=8, text_bytes=1 << 20)
    yield held
    held.close()
    libraries.close()
    database.close()


def submitted(held: Jobs, home: Path) -> Job:
    return held.submit("default", "voyage.md", io.BytesIO(VOYAGE.encode()))


def ended(held: Jobs, key: str) -> Job:
    while (job := held.get(key)).state in ("waiting", "reading"):
        time.sleep(0.01)
    return job


def test_what_is_large_only_once_it_is_unpacked_is_refused(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(300_000)).encode()
    assert len(words) > 2 << 20
    book = making.epub_by_hand({"a.xhtml": b"<html><body><p>" + words + b"</p></body></html>"})
    tags = making.docx_by_hand("".join(f"<w:p><w:r><w:t>{number}</w:t></w:r></w:p>" for number in range(200_000)))
    assert len(book) < 1 << 20 > len(tags)
    with serving(tmp_path, limits={"text_bytes": 1 << 20}) as served:
        large = served.upload(("book.epub", book), ("tags.docx", tags), ("book.txt", words), ("good.md", words[:9000]))
    assert [job["state"] for job in large] == ["failed", "failed", "failed", "done"]
    assert large[0]["error"] == "book.epub holds more than 1 MiB of text; split it into smaller files"
    assert large[1]["error"] == "tags.docx unpacks to more than 4 MiB; split it into smaller files"
    assert large[2]["error"] == "book.txt holds more than 1 MiB of text; split it into smaller files"


@pytest.mark.parametrize("kills", [2, 3])
def test_a_file_that_kills_the_server_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    class Killed(BaseException):
        """Ends the job as a kill would: nothing is written down any more."""

    def deadly(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "parse", deadly)
        with jobs_of(tmp_path) as held:
            key = submitted(held, tmp_path).id
        for _ in range(kills - 1):
            with jobs_of(tmp_path) as held:
                held.resume()
    with jobs_of(tmp_path) as held:
        held.resume()
        job = ended(held, key)
    assert job.state == ("done" if kills == 2 else "failed")
    if kills == 3:
        assert job.error == "the server died 3 times while it read voyage.md; split it into smaller files"
        assert list((tmp_path / "library" / "files").iterdir()) == []


def test_a_stop_in_good_order_is_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:

        def left(*_: object, **__: object) -> None:
            held._stopping = True
            raise DocumentError("voyage.md was left unread; add it again")

        patched.setattr(jobs, "parse", left)
        with jobs_of(tmp_path) as held:
            key = submitted(held, tmp_path).id
        for _ in range(4):
            with jobs_of(tmp_path) as held:
                held.resume()
    with jobs_of(tmp_path) as held:
        held.resume()
        assert ended(held, key).state == "done"


@pytest.mark.parametrize("by", ["cancel", "stop"])
def test_indexing_is_left_between_splitting_and_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it went on")

    with monkeypatch.context() as patched, jobs_of(tmp_path) as held:
        cut, begun = retrieval.cut, threading.Event()

        def meanwhile(*given: object) -> object:
            begun.set()
            if by == "cancel":
                held.cancel(held._current)
            else:
                held._stopping = True
                held._stop.set()
            return cut(*given)  # type: ignore[arg-type]

        patched.setattr(retrieval, "cut", meanwhile)
        patched.setattr(retrieval.lexical, "postings", never)
        key = submitted(held, tmp_path).id
        assert begun.wait(10)
    with jobs_of(tmp_path) as held:
        held.resume()
        assert ended(held, key).state == ("cancelled" if by == "cancel" else "done")
    with Library(tmp_path / "library") as library:
        assert len(library.documents()) == (0 if by == "cancel" else 1)


def test_cancelled_in_the_moment_of_its_end_it_leaves_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = documents.document_id
    with jobs_of(tmp_path) as held:

        def cancelled_meanwhile(document: str) -> str:
            held.cancel(document.partition("/")[0])
            return name(document)

        monkeypatch.setattr(jobs, "document_id", cancelled_meanwhile)
        assert ended(held, submitted(held, tmp_path).id).state == "cancelled"
    with Library(tmp_path / "library") as library:
        assert library.documents() == []
    assert list((tmp_path / "library" / "files").iterdir()) == []


def test_cancelled_after_its_end_it_stays_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with jobs_of(tmp_path) as held:
        done = ended(held, submitted(held, tmp_path).id)
        monkeypatch.setattr(held, "get", lambda key: replace(done, state="reading"))  # as it was a moment ago
        assert held.cancel(done.id) == done
    assert len(list((tmp_path / "library" / "files").iterdir())) == 1


def test_a_full_disk_fails_the_job_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Database.run

    def full(database: Database, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        if statement.startswith("UPDATE jobs"):
            raise LibraryError("the disk is full")
        return run(database, statement, values)

    monkeypatch.setattr(Database, "run", full)
    with jobs_of(tmp_path) as held:
        job = ended(held, submitted(held, tmp_path).id)
    assert (job.state, job.error) == ("failed", "the disk is full")
    assert "the disk is full" in caplog.text


def test_the_next_start_removes_what_a_kill_left_of_uploads(tmp_path: Path) -> None:
    with jobs_of(tmp_path) as held:
        ended(held, submitted(held, tmp_path).id)
    files = tmp_path / "library" / "files"
    kept = [*files.iterdir(), files / "notes.txt"]
    left = [files / f".{'0' * 32}.pdf", files / f"{'f' * 32}.md", files / ("1" * 32)]
    for path in (kept[-1], *left):
        path.write_bytes(b"left")
    with jobs_of(tmp_path) as held:
        waits = held.submit("default", "more.md", io.BytesIO(b"The swarm was bought in May. " * 9))
        held._jobs.clear()  # as after a kill before its turn
        held.resume()
        assert ended(held, waits.id).state == "done"
    assert sorted(set(files.iterdir()) - set(kept)) == [files / f"{waits.id}.md"]
    assert all(path.exists() for path in kept)


def test_of_ended_jobs_the_latest_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_KEPT", 3)
    with jobs_of(tmp_path) as held:
        keys = [ended(held, submitted(held, tmp_path).id).id for _ in range(6)]
        assert held._database.run("SELECT count(*) FROM jobs") == [(3,)]
        assert [held.get(key).state for key in keys[-3:]] == ["done"] * 3
        with pytest.raises(NotFound):
            held.get(keys[0])


def test_uploads_at_once_find_no_more_room_than_there_is(tmp_path: Path) -> None:
    with jobs_of(tmp_path) as held, held.room(5), held.room(3), pytest.raises(Busy), held.room(1):
        pass
