"""The native API against a real server: libraries, documents, search, ask, answers."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seriatim.models.generator import Piece
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import Store
from seriatim.server import responses
from seriatim.server.settings import QUESTION_CHARACTERS
from tests.documents.making import pdf
from tests.retrieval.conftest import ORCHARD, VOYAGE
from tests.server.conftest import QUESTION, Served, serving
from tests.server.talking import ANSWER, Talking


def test_health_says_what_runs(server: Served) -> None:
    found = server.http.get("/api/health").json()
    assert found["status"] == "ok"
    assert found["model"] == "talking"
    assert found["queue"] == {"running": 0, "waiting": 0}


def test_libraries_are_made_listed_and_removed(server: Served) -> None:
    made = server.http.post("/api/libraries", json={"name": "letters-2"})
    assert (made.status_code, made.json()["name"]) == (201, "letters-2")
    assert [each["name"] for each in server.http.get("/api/libraries").json()] == ["default", "letters-2"]
    assert server.http.post("/api/libraries", json={"name": "letters-2"}).status_code == 409
    server.upload(("voyage.md", VOYAGE.encode()), library="letters-2")
    assert server.http.delete("/api/libraries/letters-2").status_code == 204
    assert server.http.get("/api/libraries/letters-2/documents").status_code == 404
    assert server.http.post("/api/libraries", json={"name": "letters-2"}).json()["documents"] == 0


def test_the_default_library_is_the_command_lines(tmp_path: Path) -> None:
    (tmp_path / "voyage.md").write_text(VOYAGE)
    with Library(tmp_path / "home" / "library", embedder="static") as library:
        library.add([tmp_path / "voyage.md"])
    with serving(tmp_path / "home") as served:
        (document,) = served.http.get("/api/libraries/default/documents").json()
        assert document["name"] == "voyage.md"
        assert served.http.delete(f"/api/libraries/default/documents/{document['id']}").status_code == 204
        assert served.http.delete("/api/libraries/default").status_code == 409
    assert (tmp_path / "voyage.md").read_text() == VOYAGE


def test_an_upload_becomes_a_document_with_its_text(server: Served) -> None:
    listed = server.http.get("/api/libraries/default/documents").json()
    assert [each["name"] for each in listed] == ["orchard.txt", "voyage.md"]
    path = f"/api/libraries/default/documents/{listed[1]['id']}"
    assert server.http.get(path).json() == listed[1]
    text = server.http.get(f"{path}/text").json()
    assert (text["text"], text["length"]) == (VOYAGE, len(VOYAGE))
    part = server.http.get(f"{path}/text?start=5&end=20").json()
    assert part == {"text": VOYAGE[5:20], "start": 5, "end": 20, "length": len(VOYAGE)}
    assert server.http.get(f"{path}/text?start=99999999").json()["text"] == ""
    assert server.http.get(f"{path}/pages").json() == []
    assert server.http.get(f"{path}/pages/1.png").status_code == 404


def test_the_same_bytes_again_are_the_same_document(server: Served) -> None:
    (job,) = server.upload(("again.md", VOYAGE.encode()))
    listed = server.http.get("/api/libraries/default/documents").json()
    assert job["state"] == "done"
    assert job["document"] in [each["id"] for each in listed]
    assert len(listed) == 2


def test_another_file_of_the_same_name_gets_its_own_label(server: Served) -> None:
    server.upload(("voyage.md", b"A different voyage altogether, by the same name."))
    names = [each["name"] for each in server.http.get("/api/libraries/default/documents").json()]
    assert names == ["orchard.txt", "voyage (2).md", "voyage.md"]


def test_a_file_that_cannot_be_read_says_why(server: Served) -> None:
    (job,) = server.upload(("picture.pdf", b"\x89PNG\r\n\x1a\n" + b"x" * 100))
    assert job["state"] == "failed"
    assert "picture.pdf is an image" in job["error"]
    deadline = time.monotonic() + 30
    while list(Path(server.home, "library", "files").glob("*.pdf")):
        assert time.monotonic() < deadline, "the file stays"
        time.sleep(0.01)


def test_pages_of_a_pdf_are_shown(server: Served) -> None:
    (job,) = server.upload(("book.pdf", pdf(["The first page speaks of whales.", "The second page speaks of ships."])))
    path = f"/api/libraries/default/documents/{job['document']}"
    pages = server.http.get(f"{path}/pages").json()
    assert [each["page"] for each in pages] == [1, 2]
    text = server.http.get(f"{path}/text").json()["text"]
    assert "ships" in text[pages[1]["start"] : pages[1]["end"]]
    image = server.http.get(f"{path}/pages/2.png")
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    assert server.http.get(f"{path}/pages/3.png").status_code == 404
    assert server.http.delete(path).status_code == 204
    assert not list(Path(server.home, "library", "files").glob("*.pdf"))


def test_so_many_pictures_of_pages_at_once(tmp_path: Path) -> None:
    with serving(tmp_path / "home", limits={"pictures": 1}) as served:
        (job,) = served.upload(("pages.pdf", pdf(["First page. " * 9, "Second page. " * 9])))
        path = f"/api/libraries/default/documents/{job['document']}/pages/1.png"
        with ThreadPoolExecutor(4) as threads:
            statuses = {answer.status_code for answer in threads.map(served.http.get, [path] * 8)}
        assert statuses == {200, 429}
        assert served.http.get(path).status_code == 200


def test_everything_that_is_answered_has_a_description(server: Served) -> None:
    described = server.http.get("/openapi.json").json()
    found = server.http.post("/api/libraries/default/search", json={"question": QUESTION, "effort": "fast"}).json()
    assert responses.Found.model_validate(found)
    assert responses.Error.model_validate(server.http.get("/api/jobs/none").json())
    for path, methods in described["paths"].items():
        for operation in methods.values() if path.startswith("/api") else ():
            (said,) = [each for status, each in operation["responses"].items() if status.startswith("2")]
            for media, content in said.get("content", {}).items():
                schema = content.get("schema", {})
                assert media != "application/json" or "$ref" in schema.get("items", schema), path


@pytest.mark.parametrize(
    ("body", "told", "param"),
    [
        (b'{"question": "q", "tokens": 0}', "tokens: Input should be greater than or equal to 1", "tokens"),
        (b'{"question": ', "the body: it is no JSON", None),
        (b"[1]", "the body: it must be a JSON object, sent with Content-Type: application/json", None),
    ],
)
def test_a_body_at_fault_is_told_by_its_field(server: Served, body: bytes, told: str, param: str | None) -> None:
    sent = {"content": body, "headers": {"content-type": "application/json"}}
    error = server.http.post("/api/libraries/default/search", **sent).json()["error"]
    assert error["message"].startswith(told)
    assert error["param"] == param


def test_probes_may_ask_for_the_head_alone(server: Served) -> None:
    assert [server.http.head(path).status_code for path in ("/", "/api/health")] == [200, 200]


def test_search_gives_passages_in_reading_order(server: Served) -> None:
    found = server.http.post("/api/libraries/default/search", json={"question": QUESTION, "effort": "fast"}).json()
    assert set(found) == {"question", "passages", "tokens"}
    best = next(each for each in found["passages"] if "eleven crowns" in each["text"])
    assert best["document"] == "voyage.md"
    listed = {each["id"]: each["name"] for each in server.http.get("/api/libraries/default/documents").json()}
    assert listed[best["document_id"]] == "voyage.md"
    assert VOYAGE[best["start"] : best["end"]] == best["text"]
    starts = [(each["document"], each["start"]) for each in found["passages"]]
    assert starts == sorted(starts, key=lambda each: (each[0] != starts[0][0], each[1]))


def test_search_can_be_limited_to_documents(server: Served) -> None:
    listed = {each["name"]: each["id"] for each in server.http.get("/api/libraries/default/documents").json()}
    body = {"question": QUESTION, "effort": "fast", "documents": [listed["orchard.txt"]]}
    found = server.http.post("/api/libraries/default/search", json=body).json()
    assert {each["document"] for each in found["passages"]} == {"orchard.txt"}
    assert server.http.post("/api/libraries/default/search", json=body | {"documents": ["orchard.txt"]}).json() == found
    for unknown in ("0123456789abcdef", "orchard", "/etc/passwd"):
        body["documents"] = [unknown]
        assert server.http.post("/api/libraries/default/search", json=body).status_code == 404


def test_a_name_of_several_documents_names_none(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log.txt").write_text(f"The log of {folder}. {VOYAGE}")
    with Library(tmp_path / "home" / "library", embedder="static") as library:
        library.add([tmp_path / "here", tmp_path / "there"])
    with serving(tmp_path / "home") as served:
        ids = [each["id"] for each in served.http.get("/api/libraries/default/documents").json()]
        body = {"question": QUESTION, "effort": "fast", "documents": ["log.txt"]}
        refused = served.http.post("/api/libraries/default/search", json=body)
        assert refused.status_code == 400
        assert all(each in refused.json()["error"]["message"] for each in ids)
        found = served.http.post("/api/libraries/default/search", json=body | {"documents": ids[:1]}).json()
        assert {each["document_id"] for each in found["passages"]} == {ids[0]}


def test_an_answer_streams_and_is_kept(server: Served) -> None:
    events = server.ask()
    kinds = [kind for kind, _ in events]
    assert kinds[-1] == "answer"
    stages = [data["name"] for kind, data in events if kind == "stage"]
    assert stages == ["retrieve", "plan", "think", "draft", "check", "answer"]
    whole = events[-1][1]
    assert whole["answer"].startswith(ANSWER[:-1])
    assert "".join(data["text"] for kind, data in events if kind == "output") == whole["answer"]
    assert "".join(data["text"] for kind, data in events if kind == "draft") == ANSWER
    assert "the price." in "".join(data["text"] for kind, data in events if kind == "plan")
    (citation,) = [data for kind, data in events if kind == "citation"]
    assert (citation["number"], citation["document"]) == (1, "voyage.md")
    assert VOYAGE[citation["start"] : citation["end"]] == citation["quote"]
    contract = {"question", "answer", "thinking", "reflections", "complete", "citations", "passages", "model"}
    assert contract | {"id", "created", "library", "usage", "timings"} <= set(whole)
    assert next(data for kind, data in events if kind == "usage") == whole["usage"]

    assert server.http.get(f"/api/answers/{whole['id']}").json() == whole
    assert responses.Answer.model_validate(whole)
    (listed,) = server.http.get("/api/answers?library=default").json()
    assert listed == {name: whole[name] for name in ("id", "library", "question", "answer", "created", "via")}
    markdown = server.http.get(f"/api/answers/{whole['id']}.md")
    assert markdown.headers["content-type"].startswith("text/markdown")
    assert "eleven crowns a barrel" in markdown.text
    assert server.http.delete(f"/api/answers/{whole['id']}").status_code == 204
    assert server.http.get(f"/api/answers/{whole['id']}").status_code == 404


def test_without_reflection_the_model_answers_at_once(server: Served) -> None:
    events = server.ask(reflect=False)
    assert [data["name"] for kind, data in events if kind == "stage"] == ["retrieve", "draft", "check", "answer"]


def test_a_follow_up_takes_the_earlier_answer_into_account(server: Served) -> None:
    first = server.ask()[-1][1]
    second = server.ask("And where was that?", after=first["id"])[-1][1]
    assert second["question"] == "And where was that?"
    assert second["after"] == first["id"]
    assert any(f"asked after &quot;{QUESTION}" in p or QUESTION in p for p in server.model.prompts[-3:])
    assert any("eleven crowns" in each["text"] for each in second["passages"])


def test_answers_come_in_pages(server: Served) -> None:
    ids = [server.ask(f"{QUESTION} {number}", reflect=False)[-1][1]["id"] for number in range(3)]
    first = server.http.get("/api/answers?limit=2").json()
    assert [each["id"] for each in first] == [ids[2], ids[1]]
    rest = server.http.get(f"/api/answers?limit=2&before={ids[1]}").json()
    assert [each["id"] for each in rest] == [ids[0]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"question": " "}, 400),
        ({"question": QUESTION, "model": "no-such"}, 404),
        ({"question": QUESTION, "model": "/etc/passwd"}, 404),
        ({"question": QUESTION, "model": "http://169.254.169.254/v1"}, 404),
        ({"question": QUESTION, "after": "feedfeedfeedfeed"}, 404),
        ({"question": QUESTION, "documents": []}, 400),
        ({"question": QUESTION, "tokens": 0}, 422),
        ({"question": QUESTION, "effort": "none"}, 422),
        ({"question": QUESTION, "surprise": 1}, 422),
    ],
)
def test_what_is_wrong_with_a_question_is_said_before_the_stream(
    server: Served, body: dict[str, object], status: int
) -> None:
    answer = server.http.post("/api/libraries/default/ask", json=body)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]["message"]


def test_an_empty_library_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as served:
        answer = served.http.post("/api/libraries/default/ask", json={"question": QUESTION})
        assert answer.status_code == 409
        assert "add documents first" in answer.json()["error"]["message"]


def test_models_and_metrics(server: Served) -> None:
    listed = server.http.get("/api/models").json()
    assert [each["name"] for each in listed if each["default"]] == ["talking"]
    assert {"name", "summary", "bytes", "present", "default"} == set(listed[0])
    usage = server.ask(reflect=False)[-1][1]["usage"]
    asked = {"model": "talking", "messages": [{"role": "user", "content": "Hi"}]}
    more = server.http.post("/v1/chat/completions", json=asked).json()["usage"]
    figures = server.http.get("/metrics").text
    assert "seriatim_answers_total 1.0" in figures
    for kind, name in (("read", "prompt_tokens"), ("written", "completion_tokens")):
        assert f'seriatim_tokens_total{{kind="{kind}"}} {float(usage[name] + more[name])}' in figures
    assert "seriatim_model_waiting 0.0" in figures


def test_the_reference_lists_every_route_and_fetches_nothing(server: Served) -> None:
    page = server.http.get("/docs").text
    for path in server.http.get("/openapi.json").json()["paths"]:
        assert path in page
    assert "<script" not in page
    assert "//" not in page.replace("<!doctype html>", "")


def test_uploads_are_kept_byte_for_byte(server: Served) -> None:
    kept = {hashlib.sha256(file.read_bytes()).hexdigest() for file in Path(server.home, "library", "files").iterdir()}
    assert kept == {hashlib.sha256(each.encode()).hexdigest() for each in (VOYAGE, ORCHARD)}


def test_a_damaged_library_takes_no_other_with_it(server: Served) -> None:
    server.http.post("/api/libraries", json={"name": "damaged"})
    for file in (server.home / "libraries" / "damaged").glob("library.sqlite*"):
        file.write_bytes(b"no database")
    listed = server.http.get("/api/libraries").json()
    assert [(each["name"], each["documents"]) for each in listed] == [("default", 2), ("damaged", 0)]
    assert listed[0]["error"] is None
    assert "restore it" in listed[1]["error"]


def test_no_route_counts_the_vectors(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "dense_count", None)  # it reads the largest table of the library
    (job,) = server.upload(("bees.txt", b"The swarm was bought in May. " * 9))
    for path in ("", "/default/documents", f"/default/documents/{job['document']}"):
        assert server.http.get(f"/api/libraries{path}").status_code == 200
    body = {"question": QUESTION, "effort": "fast", "documents": [job["document"]]}
    assert server.http.post("/api/libraries/default/search", json=body).status_code == 200


@pytest.mark.parametrize("path", ["/api/libraries/default/ask", "/v1/chat/completions"])
def test_what_nobody_foresaw_ends_a_stream_in_words(tmp_path: Path, path: str) -> None:
    class Broken(Talking):
        def stream(self, *args: object, **options: object) -> Iterator[Piece]:
            raise RuntimeError("boom")

    with serving(tmp_path / "home", Broken()) as served:
        served.upload(("voyage.md", VOYAGE.encode()))
        asked = {"model": "seriatim/default", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
        body = {"question": QUESTION, "effort": "fast"} if path.startswith("/api") else asked
        answer = served.http.post(path, json=body)
    assert "this should not happen (RuntimeError)" in answer.text
    assert "boom" not in answer.text


def test_everywhere_is_no_address_that_a_browser_opens(tmp_path: Path) -> None:
    with serving(tmp_path, host="0.0.0.0", token="a-token-of-some-length") as served:
        assert served.address.startswith("http://127.0.0.1:")
        assert served.http.get("/api/health").status_code == 200


def test_the_page_takes_questions_as_long_as_the_api_does(server: Served) -> None:
    assert f'id="question" name="question" rows="1" maxlength="{QUESTION_CHARACTERS}"' in server.http.get("/").text
    body = {"question": "so " * QUESTION_CHARACTERS, "effort": "fast"}
    assert server.http.post("/api/libraries/default/search", json=body).status_code == 422


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tokens": "512"}, "tokens: Input should be a valid integer or 'auto'; see /docs"),
        ({"tokens": 0}, "tokens: Input should be greater than or equal to 1 or 'auto'; see /docs"),
    ],
)
def test_what_is_allowed_is_told(server: Served, asked: dict[str, object], said: str) -> None:
    refused = server.http.post("/api/libraries/default/search", json={"question": QUESTION, **asked})
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == said


def test_the_reference_has_bounds_and_defaults(server: Served) -> None:
    page = server.http.get("/docs").text
    for bounds in (
        "<code>question</code>: string of 1 to 20,000 characters",
        "<code>tokens</code>: integer 1 to 8,192 or &quot;auto&quot;, else 1024, optional",
        "<code>documents</code>: list of string (at most 1,000) or null, optional",
        "<code>name</code>: string matching ^[a-z0-9-]{1,64}$",
    ):
        assert bounds in page
