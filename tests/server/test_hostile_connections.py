"""Connections that mean harm: broken, endless, slow and too many; and what becomes of each. docs/server.md has the same
table in words."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.retrieval.conftest import VOYAGE
from tests.server.conftest import Served, serving
from tests.server.raw import HEAD, raw, status

pytestmark = pytest.mark.usefixtures("is_well_afterwards")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(
        tmp_path_factory.mktemp("home"), limits={"header_s": 1.0, "body_s": 1.0, "upload_bytes": 4 << 20}
    ) as served:
        served.upload(("voyage.md", VOYAGE.encode()))
        yield served


def test_too_many_requests_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, limits={"requests_per_s": 2}) as served:
        statuses = [served.http.get("/api/health").status_code for _ in range(20)]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses[10:]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", {413}),
        (HEAD + b"Content-Length: -5\r\n\r\n", {400}),
        (HEAD + b"Content-Length: five\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", {400}),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n", {400, 422}),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", {400, 501}),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", {400}),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n", {408}),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", {400, 431}),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", {400, 431}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", {400, 414, 431}),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n b\r\n\r\n", {200, 400}),
        (b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n", {400, 421}),
        (b"GET http://evil.example/api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", {400, 404}),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", {400, 404, 405}),
        (b"TRACE /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", {405}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, {400}),
        (b"GET /api/health HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", {200, 400, 505}),
        (
            b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            {200, 400},
        ),
    ],
    ids=lambda value: value[:40].decode("latin-1").split("\r")[0] if isinstance(value, bytes) else None,
)
def test_broken_and_smuggled_requests_are_refused(server: Served, sent: bytes, expected: set[int]) -> None:
    answer = raw(server, sent)
    assert status(answer) in expected, answer[:300]
    assert b"Traceback" not in answer


def test_a_chunked_body_is_cut_off_at_its_limit(server: Served) -> None:
    before = refused(server, "size")

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 65536

    # A server that closes while more is coming may cut off its own answer: the figure tells for certain.
    with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        answer = server.http.post(
            "/api/libraries/default/search", content=endless(), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 413
    assert refused(server, "size") == before + 1


def test_an_upload_is_cut_off_at_its_limit_and_leaves_nothing(server: Served) -> None:
    before = refused(server, "size")
    files = [("files", ("large.txt", b"x" * (5 << 20)))]
    with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        assert server.http.post("/api/libraries/default/documents", files=files).status_code == 413
    assert refused(server, "size") == before + 1
    assert not list((server.home / "library" / "files").glob("*.txt"))


def test_a_body_is_no_upload_because_it_says_so(server: Served) -> None:
    headers = b"Host: 127.0.0.1\r\nContent-Length: 3000000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    for path in (b"/api/libraries/default/search", b"/v1/chat/completions", b"/mcp", b"/api/libraries/a/b/documents"):
        assert status(raw(server, b"POST " + path + b" HTTP/1.1\r\n" + headers, wait_s=3)) == 413


def test_a_form_of_fields_is_refused_before_it_fills_the_memory(server: Served) -> None:
    fields = {f"field-{number}": "x" * 500_000 for number in range(6)}
    answer = server.http.post("/api/libraries/default/documents", data=fields, files={"files": ("a.txt", b"text")})
    assert answer.status_code == 400
    assert server.http.post("/api/libraries/default/documents", json={}).status_code == 422


def test_so_many_uploads_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, limits={"uploads": 1}) as served:
        parts = urlsplit(served.address)
        head = b"POST /api/libraries/default/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
            line.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b")
            files = [("files", ("a.txt", b"A short text."))]
            deadline = time.monotonic() + 10
            while (status := served.http.post("/api/libraries/default/documents", files=files).status_code) == 202:
                assert time.monotonic() < deadline
            assert status == 429
        (job,) = _uploaded(served)
        assert job["state"] == "done"


def test_an_upload_that_is_broken_off_is_no_fault_of_the_servers(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    parts = urlsplit(server.address)
    head = b"POST /api/libraries/default/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b")
        server.http.get("/api/health")
    time.sleep(0.3)
    assert "Exception" not in caplog.text


def _uploaded(served: Served) -> list[dict[str, object]]:
    """Upload a file as soon as there is room."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return served.upload(("a.txt", b"A short text."))
        except AssertionError:
            assert time.monotonic() < deadline


def refused(server: Served, reason: str) -> float:
    """How many requests were refused for a reason."""
    figures = server.http.get("/metrics").text
    found = re.search(rf'seriatim_refusals_total{{reason="{reason}"}} (\S+)', figures)
    return float(found[1]) if found else 0.0


def trickles(line: socket.socket, piece: bytes, began: float) -> None:
    """Send a little at a time until the server has enough of it."""
    while time.monotonic() - began < 8:
        line.sendall(piece)
        time.sleep(0.1)


def test_a_head_that_never_ends_is_cut_off(server: Served) -> None:
    parts = urlsplit(server.address)
    began = time.monotonic()
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(b"GET /api/health HTTP/1.1\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            trickles(line, b"X: y\r\n", began)
    assert time.monotonic() - began < 4


def test_a_second_head_that_never_ends_is_cut_off_too(server: Served) -> None:
    parts = urlsplit(server.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            trickles(line, b"G", began)
    assert time.monotonic() - began < 4


def test_a_body_that_trickles_is_cut_off(server: Served) -> None:
    parts = urlsplit(server.address)
    began = time.monotonic()
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        answer = b""
        while not answer and time.monotonic() - began < 8:
            line.settimeout(0.1)
            try:
                line.sendall(b" ")
                answer = line.recv(65536)
            except TimeoutError:
                continue
    assert status(answer) == 408
    assert time.monotonic() - began < 4


@contextlib.contextmanager
def much_asked(server: Served, times: int) -> Iterator[tuple[socket.socket, int]]:
    """A connection that asked for a long answer so many times, and how many bytes are to come, of which it has room
    for few."""
    parts = urlsplit(server.address)
    size = len(server.http.get("/openapi.json").content)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect((parts.hostname, parts.port))
        line.settimeout(10)
        line.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * times)
        yield line, times * size


def test_an_answer_that_nobody_reads_is_cut_off(server: Served) -> None:
    with much_asked(server, 400) as (line, size):
        time.sleep(2.5)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := line.recv(1 << 20):
                received += len(piece)
    assert received < size


def test_an_answer_that_is_read_slowly_comes_whole(server: Served) -> None:
    with much_asked(server, 40) as (line, size):
        received, began = 0, time.monotonic()
        while received < size:
            piece = line.recv(1 << 16)
            assert piece
            received += len(piece)
            if time.monotonic() - began < 2.5:
                time.sleep(0.01)
