"""Requests of those who may not ask: other names, other sites, no token; and what becomes of each. docs/server.md has
the same table in words."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from seriatim.server.metrics import Metrics
from seriatim.server.security import Guard
from seriatim.server.settings import Limits, Settings
from tests.retrieval.conftest import VOYAGE
from tests.server.conftest import Served, serving
from tests.server.raw import raw, status

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("home")) as served:
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
        assert "samesite=lax" in cookie  # a link to an answer is opened from a mail or a chat, too
        assert browser.get("/api/libraries").status_code == 200


def test_links_from_other_sites_open_the_page_and_change_nothing(guarded: Served) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "cookie": f"seriatim_token={TOKEN}"}
    with httpx.Client(base_url=guarded.address, headers=link, trust_env=False) as browser:
        assert browser.get("/").status_code == 200
        assert browser.get(f"/?token={TOKEN}").status_code == 303
        for method, path in [("POST", "/api/libraries"), ("DELETE", "/api/libraries/default"), ("PUT", "/")]:
            assert browser.request(method, path, json={"name": "stolen"}).status_code == 403
        # An older browser, which sends no Sec-Fetch headers, sends the origin with whatever changes something.
        old = {"sec-fetch-site": "", "sec-fetch-mode": "", "origin": "http://evil.example"}
        assert browser.post("/api/libraries", json={"name": "stolen"}, headers=old).status_code == 403
    assert [each["name"] for each in guarded.http.get("/api/libraries").json()] == ["default"]


def test_what_is_got_changes_nothing(server: Served) -> None:
    before = {path: path.read_bytes() for path in server.home.rglob("*") if path.is_file() and "-" not in path.name}
    paths = server.http.get("/openapi.json").json()["paths"]
    for path in [path for path, methods in paths.items() if "get" in methods]:
        (document,) = server.http.get("/api/libraries/default/documents").json()
        names = {"library": "default", "document": document["id"], "page": 1, "job": "0" * 16, "answer": "0" * 16}
        assert server.http.get(path.format(**names, model="talking")).status_code in (200, 404)
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_links_with_wrong_tokens_lock_nobody_out(tmp_path: Path, site: str) -> None:
    with serving(tmp_path, token=TOKEN, limits={"wrong_tokens_per_min": 5}) as served:
        link = {"authorization": "", "sec-fetch-site": site, "sec-fetch-mode": "navigate"}
        wrong = [served.http.get(f"/?token=wrong-{number}", headers=link).status_code for number in range(8)]
        assert wrong == [401] * 5 + [429] * 3
        assert served.http.get(f"/?token={TOKEN}", headers=link).status_code == 429  # else such a link would tell
        assert served.http.get("/api/health").status_code == 200


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


@pytest.mark.parametrize("foreign", ['theme={"a": 1}', "a=b c", "a[b]=1", "x", "=", 'q="unclosed', "seriatim=1; ü=ä"])
def test_a_cookie_of_another_program_locks_nobody_out(guarded: Served, foreign: str) -> None:
    for cookies in (f"{foreign}; seriatim_token={TOKEN}", f"seriatim_token={TOKEN}; {foreign}"):
        headers = {"cookie": cookies.encode()}
        assert httpx.get(f"{guarded.address}/api/health", headers=headers, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("addresses", "same"),
    [
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "2001:db8::4"], True),
        (["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1", "2001:db8:0:4::1"], False),
        (["::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.3", "::ffff:192.0.2.4"], False),
        (["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], False),
        (["fe80::1%eth0", "fe80::2%eth0", "fe80::3%eth0", "fe80::4%eth0"], True),
    ],
)
def test_one_network_guesses_as_one_client(tmp_path: Path, addresses: list[str], same: bool) -> None:
    settings = Settings(home=tmp_path, token=TOKEN, limits=Limits(wrong_tokens_per_min=3))
    guard = Guard(PlainTextResponse("here"), settings, Metrics())

    async def guess(address: str) -> int:
        transport = httpx.ASGITransport(guard, client=(address, 9))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.get("/api/health", headers={"authorization": f"Bearer {address}"})).status_code

    statuses = [asyncio.run(guess(address)) for address in addresses]
    assert statuses == [401, 401, 401, 429 if same else 401]


@pytest.mark.parametrize(("last", "let_in"), [("2001:db8::{:x}", 5), ("2001:db8:0:{:x}::1", 20), ("192.0.2.{}", 20)])
def test_a_flood_from_one_network_is_one_clients(tmp_path: Path, last: str, let_in: int) -> None:
    guard = Guard(PlainTextResponse("here"), Settings(home=tmp_path, limits=Limits(requests_per_s=1)), Metrics())

    async def ask(address: str) -> int:
        transport = httpx.ASGITransport(guard, client=(address, 9))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.get("/api/health")).status_code

    statuses = [asyncio.run(ask(last.format(number))) for number in range(1, 21)]
    assert statuses.count(200) == let_in


def test_guessing_tokens_is_stopped_even_with_the_right_one(tmp_path: Path) -> None:
    with serving(tmp_path, token=TOKEN, limits={"wrong_tokens_per_min": 5}) as served:
        guesses = [
            served.http.get("/api/health", headers={"authorization": f"Bearer guess-number-{number}"}).status_code
            for number in range(8)
        ]
        assert guesses == [401] * 5 + [429] * 3
        refused = served.http.get("/api/health")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")


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


def test_a_browser_without_the_token_is_asked_for_it_by_a_form_without_script(tmp_path: Path) -> None:
    with serving(tmp_path, token="the-right-token") as served, httpx.Client(base_url=served.address) as browser:
        plain = browser.get("/")
        assert (plain.status_code, plain.headers["content-type"]) == (401, "text/plain; charset=utf-8")
        asked = browser.get("/", headers={"accept": "text/html"})
        assert asked.status_code == 401
        assert '<label for="token">' in asked.text
        assert "<script" not in asked.text
        policy = asked.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "script-src" not in policy
        wrong = browser.get("/", params={"token": "a-wrong-token"}, headers={"accept": "text/html"})
        assert "This token is wrong." in wrong.text
        assert "a-wrong-token" not in wrong.text
        assert browser.get("/", params={"token": "the-right-token"}).headers["location"] == "/"
        assert browser.get("/", headers={"accept": "text/html"}).status_code == 200
