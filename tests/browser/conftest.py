"""A real server process, and Debian's Chromium at its page."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.documents.making import pdf

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sennet-water.md"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
START_S = 120


@dataclass
class Server:
    """A server process that can be killed and started again at the same address, over the same home."""

    home: Path
    command: list[str]
    port: int
    process: subprocess.Popen[str] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {**os.environ, "SERIATIM_HOME": str(self.home)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.command], cwd=ROOT, env=environment, text=True, stdout=subprocess.DEVNULL
        )
        with httpx.Client(base_url=self.url, timeout=2) as client:
            until = time.monotonic() + START_S
            while time.monotonic() < until:
                assert self.process.poll() is None, "the server ended at once"
                try:
                    client.get("/api/health").raise_for_status()
                except httpx.TransportError:
                    time.sleep(0.1)
                else:
                    return
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def add(self, name: str, content: bytes, library: str = "default") -> None:
        """Upload a file and wait until it is indexed."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            (job,) = client.post(f"/api/libraries/{library}/documents", files={"files": (name, content)}).json()["jobs"]
            while (state := client.get(f"/api/jobs/{job['id']}").json())["state"] in ("waiting", "reading"):
                time.sleep(0.1)
        assert state["state"] == "done", state


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def serving(home: Path, *command: str) -> Iterator[Server]:
    port = free_port()
    server = Server(home, [each.format(home=home, port=port) for each in command], port)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="package")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the scripted model, and the sample document as text and as a PDF in a library of its own."""
    home = tmp_path_factory.mktemp("scripted")
    with serving(home, "tests.browser.scripted_server", "{home}", "{port}") as server:
        server.add("sennet-water.md", SAMPLE.read_bytes())
        httpx.post(f"{server.url}/api/libraries", json={"name": "papers"}).raise_for_status()
        server.add("letters.pdf", letters(), library="papers")
        yield server


def letters() -> bytes:
    """Parts 1 to 6 of the sample as a PDF of as many pages."""
    parts = SAMPLE.read_text().split("\n## ")[1:7]
    return pdf([part[:1800].encode("latin-1", "replace").decode("latin-1") for part in parts])


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser profile of its own; what goes wrong in its pages fails the test."""
    made = browser.new_context(viewport={"width": 1280, "height": 860})
    made.set_default_timeout(PATIENCE_MS)
    made.grant_permissions(["clipboard-read", "clipboard-write"])
    faults: list[str] = []
    made.on("weberror", lambda error: faults.append(str(error.error)))
    made.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    yield made
    made.close()
    assert not faults


@pytest.fixture
def page(context: Any) -> Any:
    return context.new_page()
