"""Searches that nobody waits for any more: by hang-up and by stop, while passages are embedded."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from seriatim.retrieval import library, ranking
from seriatim.server import documents, embedding
from seriatim.server.security import _Body
from tests.documents.making import pdf
from tests.server.conftest import QUESTION, Served, serving

BATCHES = 150


class Slow:
    """Embeds one passage at a time, for 15 s in all."""

    name = "minilm"

    def __init__(self) -> None:
        self.batches = 0
        self.begun = threading.Event()

    def embed_question(self, question: str) -> NDArray[np.float32]:
        return np.ones(4, dtype=np.float32)

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches += 1
        self.begun.set()
        time.sleep(0.1)
        return np.ones((len(texts), 4), dtype=np.float32)

    def left_off(self) -> bool:
        """Whether it was left before its time, and soon."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            before = self.batches
            time.sleep(0.5)
            if self.batches == before:
                return before < BATCHES
        return False


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(ranking, "_EMBED_AT_ONCE", 1)
    monkeypatch.setattr(library.embedders, "open_embedder", lambda *_, **__: slow)
    return slow


def sent(served: Served, route: str, timeout: float = 30) -> httpx.Response | None:
    body: dict[str, Any] = {"question": QUESTION, "effort": "thorough"}
    try:
        return served.http.post(f"/api/libraries/default/{route}", json=body, timeout=timeout)
    except httpx.ReadTimeout:
        return None


def filled(served: Served) -> None:
    words = " ".join(f"The hold number {number} had oil in it." for number in range(2000))
    (job,) = served.upload(("hold.md", words.encode()))
    document = served.http.get(f"/api/libraries/default/documents/{job['document']}").json()
    assert document["passages"] > BATCHES


@pytest.mark.parametrize("route", ["search", "ask"])
def test_a_hang_up_ends_the_search(tmp_path: Path, embedder: Slow, route: str) -> None:
    with serving(tmp_path, embedder="minilm") as served:
        filled(served)
        if route == "search":
            assert sent(served, route, timeout=1) is None
        else:
            with served.http.stream("POST", "/api/libraries/default/ask", json={"question": QUESTION}) as response:
                next(response.iter_lines())
                assert embedder.begun.wait(10)
        assert embedder.left_off()
        assert served.http.get("/api/health").json()["queue"] == {"running": 0, "waiting": 0}


@pytest.mark.parametrize("route", ["search", "ask"])
def test_a_stop_ends_the_search(tmp_path: Path, embedder: Slow, route: str) -> None:
    with serving(tmp_path, embedder="minilm", stop_s=1) as served:
        filled(served)
        asking = threading.Thread(target=lambda: ended(served, route))
        asking.start()
        assert embedder.begun.wait(10)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    assert embedder.batches < BATCHES
    asking.join()


def ended(served: Served, route: str) -> None:
    with contextlib.suppress(httpx.HTTPError):  # however the stop is told
        sent(served, route)


def test_long_searches_hold_up_nothing_else(tmp_path: Path, embedder: Slow) -> None:
    with serving(tmp_path, embedder="minilm") as served:
        filled(served)
        with ThreadPoolExecutor(4) as threads:
            searching = [threads.submit(sent, served, "search", 4) for _ in range(4)]
            assert embedder.begun.wait(10)
            time.sleep(0.5)
            began = time.monotonic()
            assert len(served.http.get("/api/libraries/default/documents").json()) == 1
            fast = {"question": QUESTION, "effort": "fast"}
            assert served.http.post("/api/libraries/default/search", json=fast).status_code == 200
            assert time.monotonic() - began < 2
            for each in searching:
                each.result()


def test_texts_that_nobody_awaits_are_not_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embed, embedded = embedding.static.embed, []

    def slow(texts: Sequence[str]) -> NDArray[np.float32]:
        embedded.append(len(texts))
        time.sleep(0.5)
        return embed(texts)

    monkeypatch.setattr(embedding.static, "embed", slow)
    with serving(tmp_path) as served:
        for _ in range(3):
            with pytest.raises(httpx.ReadTimeout):
                served.http.post("/v1/embeddings", json={"model": "static", "input": ["a"] * 1000}, timeout=0.2)
        began = time.monotonic()
        assert served.http.post("/v1/embeddings", json={"model": "static", "input": "a"}).status_code == 200
        assert time.monotonic() - began < 2
    assert sum(embedded) < 300


def test_pages_that_nobody_awaits_are_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def slow(_: Path, page: int) -> bytes:
        drawn.append(page)
        time.sleep(1.5)
        return b"a picture"

    monkeypatch.setattr(documents, "picture", slow)
    with serving(tmp_path) as served:
        (job,) = served.upload(("book.pdf", pdf(["The oil was sold at Sunder. " * 9] * 9)))
        pages = f"/api/libraries/default/documents/{job['document']}/pages"

        def leave(page: int) -> None:
            with pytest.raises(httpx.ReadTimeout):
                served.http.get(f"{pages}/{page}.png", timeout=0.5)

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(leave, range(1, 7)))
        assert served.http.get(f"{pages}/7.png").status_code == 200
    assert len(drawn) == 3


def test_who_leaves_a_body_as_it_comes_waits_for_no_more_of_it() -> None:
    async def run() -> None:
        come = asyncio.Event()

        async def receive() -> dict[str, str]:
            await come.wait()
            come.clear()
            return {"type": "http.request"}

        receiving = asyncio.create_task(_Body(receive, 100, 30.0).receive())
        await asyncio.sleep(0.01)
        come.set()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving

    asyncio.run(run())
