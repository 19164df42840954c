"""Requests that mean harm by what is in them, and what happens to each. docs/server.md has the same table in words."""

import json
from collections.abc import Iterator

import pytest

from tests.retrieval.conftest import VOYAGE
from tests.server.conftest import QUESTION, Served, serving
from tests.server.raw import raw, status

pytestmark = pytest.mark.usefixtures("is_well_afterwards")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("home")) as served:
        served.upload(("voyage.md", VOYAGE.encode()))
        yield served


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
