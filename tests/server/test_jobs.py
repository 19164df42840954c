"""Uploads in the background: cancelled, interrupted, taken up again."""

import time
from pathlib import Path

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
