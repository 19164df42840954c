"""Models that say nothing: they hold up neither those who come after, nor the stop."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from seriatim.models.endpoint import Endpoint
from seriatim.models.generator import Message, Piece
from seriatim.server import queue
from tests.models.chat_server import ChatServer, Script, chat_server
from tests.server.conftest import QUESTION, Served, serving
from tests.server.talking import Talking

VOYAGE = b"They sold the oil at Sunder for eleven crowns a barrel. " * 30


class Deaf(Talking):
    """Reads for ever, and cannot be woken."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def stream(self, messages: Sequence[Message], **_: Any) -> Iterator[Piece]:
        self.running = 1
        self.released.wait(60)
        yield Piece("", finish_reason="stop")


@pytest.fixture
def silent() -> Iterator[ChatServer]:
    with chat_server() as served:
        served.scripts += [Script(body=b"{}", wait_s=60)] * 9
        yield served


def ask_briefly(served: Served) -> None:
    body = {"question": QUESTION, "effort": "fast", "reflect": False}
    with (
        pytest.raises(httpx.ReadTimeout),
        served.http.stream("POST", "/api/libraries/default/ask", json=body, timeout=2) as response,
    ):
        list(response.iter_lines())


def test_a_silent_endpoint_is_left_by_whoever_hangs_up(tmp_path: Path, silent: ChatServer) -> None:
    with serving(tmp_path, open_model=lambda *_: Endpoint(silent.url, "small")) as served:
        served.upload(("voyage.md", VOYAGE))
        ask_briefly(served)
        gone = time.monotonic()
        while served.http.get("/api/health").json()["queue"]["running"]:
            assert time.monotonic() - gone < 1
            time.sleep(0.02)
    assert len(silent.asked) == 1


@pytest.mark.parametrize("deaf", [False, True])
def test_a_stop_does_not_wait_for_a_silent_model(
    tmp_path: Path, silent: ChatServer, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    monkeypatch.setattr(queue, "_LEAVE_S", 1.0)
    model = Deaf()
    opened = model if deaf else Endpoint(silent.url, "small")
    with serving(tmp_path, open_model=lambda *_: opened, stop_s=1) as served:
        served.upload(("voyage.md", VOYAGE))
        asking = threading.Thread(target=ask_briefly, args=(served,))
        asking.start()
        while not model.running and not silent.asked:
            time.sleep(0.01)
        asking.join()
        began = time.monotonic()
    assert time.monotonic() - began < 5
    model.released.set()
