"""Uploads in the background: cancelled, interrupted, taken up again."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from seriatim.retrieval.library import Library
from seriatim.server import documents, jobs
from seriatim.server.database import Database
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
    held = Jobs(libraries, database, most_waiting=8)
    yield held
    held.close()
    libraries.close()
    database.close()


def submitted(held: Jobs, home: Path) -> Job:
    (home / "library").mkdir(exist_ok=True)
    return held.submit("default", home / "library", "voyage.md", io.BytesIO(VOYAGE.encode()))


def ended(held: Jobs, key: str) -> Job:
    while (job := held.get(key)).state in ("waiting", "reading"):
        time.sleep(0.01)
    return job


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
