"""The model that a server has open: which one, when, and what happens while it comes."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from seriatim.errors import ModelError
from seriatim.models import opening as choosing
from seriatim.models.download import Progress
from seriatim.server import settings
from seriatim.server.models import Models
from tests.server.conftest import QUESTION, events, serving
from tests.server.talking import Talking


def test_a_model_that_has_to_be_opened_first_is_a_stage_of_its_own(tmp_path: Path) -> None:
    opening = threading.Event()
    model = Talking()

    def slowly(*_: object) -> Talking:
        opening.wait(20)
        return model

    with serving(tmp_path / "home", open_model=slowly) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        body = {"question": QUESTION, "effort": "fast"}
        with served.http.stream("POST", "/api/libraries/default/ask", json=body) as response:
            stream = events(response)
            assert next(stream) == ("stage", {"name": "load", "place": None})
            opening.set()
            assert [kind for kind, _ in stream][-1] == "answer"
        assert served.ask()[0] == ("stage", {"name": "retrieve", "place": None})


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("smollm2-135m", "smollm2-135m"),
        ("/models/own.gguf", "own.gguf"),
        ("http://localhost:11434/v1#llama3.1", "llama3.1"),
        ("http://localhost:8080/v1", "localhost:8080"),
        ("https://me:secret@models.example/v1/", "models.example"),
        ("http://", "default"),
    ],
)
def test_a_model_is_called_by_what_tells_it_apart(asked: str, name: str) -> None:
    assert Models(asked, lambda *_: Talking()).default == name


def test_the_default_model_stays_whatever_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([8 << 30, 1 << 30, 8 << 30])
    monkeypatch.delenv("SERIATIM_MODEL", raising=False)
    monkeypatch.setattr(choosing, "cores", lambda: 2)
    monkeypatch.setattr(choosing, "free_disk", lambda _: 8 << 30)
    monkeypatch.setattr(choosing, "free_memory", lambda: next(free))
    opened: list[str | None] = []
    models = Models(None, lambda name, _: opened.append(name) or Talking())  # type: ignore[func-returns-value]
    for _ in range(3):
        models.open(models.checked(None))
    assert models.default == choosing.READER
    assert opened == [choosing.READER]


def test_a_model_is_opened_with_room_for_all_that_may_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[int] = []

    def opened(model: str, *, passage_tokens: int, progress: Progress) -> Talking:
        rooms.append(passage_tokens)
        return Talking()

    monkeypatch.setattr(settings, "open_generator", opened)
    with serving(tmp_path / "home", open_model=settings.Settings(home=tmp_path).open_model) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        most = served.http.get("/openapi.json").json()["components"]["schemas"]["Ask"]["properties"]["tokens"]["anyOf"]
        assert served.ask(tokens=int(most[0]["maximum"]))[-1][0] == "answer"
    assert rooms == [most[0]["maximum"]]


def test_a_stop_does_not_wait_for_a_model_to_come(tmp_path: Path) -> None:
    def fetched(_: str | None, progress: Progress) -> Talking:
        for done in range(3000):
            progress("talking", done, 3000)
            time.sleep(0.01)
        return Talking()

    with serving(tmp_path / "home", open_model=fetched) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        opening = served.http.get("/api/health").json()["opening"]
        assert (opening["what"], opening["total"]) == ("talking", 3000)
        assert opening["done"] > 0
        found: list[tuple[str, Any]] = []
        asking = threading.Thread(target=lambda: found.extend(served.ask()))
        asking.start()
        while not served.http.get("/api/health").json()["queue"]["running"]:
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 4
    asking.join()
    assert found[-1][1]["type"] == "unavailable"


def test_a_model_that_cannot_be_opened_says_so_and_is_tried_again(tmp_path: Path) -> None:
    tries: list[str | None] = []

    def fails_twice(name: str | None, _: object) -> Talking:
        tries.append(name)
        if len(tries) < 3:
            raise ModelError("the model cannot be fetched: try again when online")
        return Talking()

    with serving(tmp_path / "home", open_model=fails_twice) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        assert served.ask()[-1][1]["message"] == "the model cannot be fetched: try again when online"
        assert served.ask()[-1][0] == "answer"


def test_what_nobody_foresaw_of_a_model_at_the_start_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Talking:
        raise RuntimeError("boom")

    with serving(tmp_path / "home", open_model=broken) as served:
        while not caplog.records:
            time.sleep(0.01)
        assert served.http.get("/api/health").status_code == 200
    assert "the model talking could not be opened" in caplog.text
    assert "boom" in caplog.text
