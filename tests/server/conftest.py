"""A real server on a free port, with a small deterministic model, and two documents in it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from seriatim.server import running
from seriatim.server.settings import Limits, Settings
from tests.retrieval.conftest import ORCHARD, VOYAGE
from tests.server.talking import Talking

QUESTION = "What did a barrel of oil sell for?"


class Served:
    """A running server: its address, a client, its model."""

    def __init__(self, address: str, model: Talking, headers: dict[str, str], home: Path) -> None:
        self.address, self.model, self.home = address, model, home
        self.http = httpx.Client(base_url=address, headers=headers, timeout=30, trust_env=False)

    def upload(self, *files: tuple[str, bytes], library: str = "default") -> list[dict[str, Any]]:
        """Upload files and wait for their jobs."""
        sent = self.http.post(
            f"/api/libraries/{library}/documents", files=[("files", (name, data)) for name, data in files]
        )
        assert sent.status_code == 202, sent.text
        return [self.finished(job["id"]) for job in sent.json()["jobs"]]

    def finished(self, job: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while (found := self.http.get(f"/api/jobs/{job}").json())["state"] in ("waiting", "reading"):
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        return dict(found)

    def ask(self, question: str = QUESTION, *, library: str = "default", **options: Any) -> list[tuple[str, Any]]:
        """The events of an answer."""
        body = {"question": question, "effort": "fast", **options}
        with self.http.stream("POST", f"/api/libraries/{library}/ask", json=body) as response:
            assert response.status_code == 200, response.read()
            return list(events(response))


def events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """The events of a stream, as they come."""
    import json

    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@contextmanager
def serving(home: Path, model: Talking | None = None, *, token: str | None = None, **options: Any) -> Iterator[Served]:
    """A server in a thread, stopped gracefully at the end."""
    model = model or Talking()
    limits = replace(Limits(requests_per_s=10_000), **options.pop("limits", {}))
    settings = Settings(
        port=0, home=home, model="talking", token=token, limits=limits,
        **{"embedder": "static", "open_model": lambda *_: model, "stop_s": 5, **options},
    )  # fmt: skip
    addresses: list[str] = []
    started = threading.Event()
    server = running.server(settings, lambda address: (addresses.append(address), started.set()))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(20)
        served = Served(addresses[0], model, {"authorization": f"Bearer {token}"} if token else {}, home)
        yield served
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
        if addresses:
            served.http.close()


@pytest.fixture
def model() -> Talking:
    return Talking()


@pytest.fixture
def server(tmp_path: Path, model: Talking) -> Iterator[Served]:
    """A server with the voyage and the orchard in its default library."""
    with serving(tmp_path / "home", model) as served:
        served.upload(("voyage.md", VOYAGE.encode()), ("orchard.txt", ORCHARD.encode()))
        yield served


@pytest.fixture
def is_well_afterwards(server: Served) -> Iterator[None]:
    """Whatever was sent, the server answers the next request as if nothing had been."""
    yield
    assert server.http.get("/api/health").status_code == 200
