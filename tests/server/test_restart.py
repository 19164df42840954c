"""A server process that is killed, and started again: nothing that was told to be done is lost."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from seriatim.errors import UsageError
from seriatim.server.running import _alone, _socket
from tests.retrieval.conftest import ORCHARD, VOYAGE
from tests.server.conftest import QUESTION, Served
from tests.server.talking import Talking

_SERVER = """
import sys
from pathlib import Path
from seriatim.server.running import serve
from seriatim.server.settings import Settings
from tests.server.talking import Talking
settings = Settings(port=0, home=Path(sys.argv[1]), model="talking", embedder="static", open_model=lambda *_: Talking())
serve(settings, started=lambda address: print(address, flush=True))
"""


@contextmanager
def process(home: Path) -> Iterator[tuple[Served, "subprocess.Popen[str]"]]:
    running = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", os.environ.get("PYTHONPATH", "")])},
        cwd=Path(__file__).parents[2],
    )
    try:
        assert running.stdout
        served = Served(running.stdout.readline().strip(), Talking(), {}, home)
        yield served, running
        served.http.close()
    finally:
        running.kill()
        running.wait()


def test_a_kill_loses_no_library_no_answer_and_no_upload(tmp_path: Path) -> None:
    with process(tmp_path) as (served, running):
        served.http.post("/api/libraries", json={"name": "letters"})
        served.upload(("voyage.md", VOYAGE.encode()), library="letters")
        whole = served.ask(library="letters")[-1][1]
        files = [("files", (f"{number}.txt", f"{number} {ORCHARD}".encode())) for number in range(40)]
        jobs = served.http.post("/api/libraries/letters/documents", files=files).json()["jobs"]
        running.kill()
        running.wait()
    with process(tmp_path) as (served, running):
        assert [each["name"] for each in served.http.get("/api/libraries").json()] == ["default", "letters"]
        assert served.http.get(f"/api/answers/{whole['id']}").json() == whole
        assert {served.finished(job["id"])["state"] for job in jobs} == {"done"}
        names = [each["name"] for each in served.http.get("/api/libraries/letters/documents").json()]
        assert len(names) == len(set(names)) == 41
        found = served.http.post("/api/libraries/letters/search", json={"question": QUESTION, "effort": "fast"})
        assert any("eleven crowns" in each["text"] for each in found.json()["passages"])


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    with process(tmp_path) as (served, running):
        served.upload(("voyage.md", VOYAGE.encode()))
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) in (0, -signal.SIGTERM)
    assert not list(tmp_path.rglob("*-wal"))


def test_serve_says_where_it_listens_and_refuses_what_is_unsafe(tmp_path: Path) -> None:
    def seriatim(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "seriatim", "serve", "--no-browser", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SERIATIM_MODEL": "smollm2-135m", "SERIATIM_DEBUG": "1"},
        )

    unsafe = seriatim("--host", "0.0.0.0")
    assert "a token is needed" in unsafe.communicate(timeout=30)[1]
    assert unsafe.returncode == 2
    running = seriatim("--port", "0", "--token", "a-token-of-some-length", "--model", "http://127.0.0.1:9/v1")
    assert running.stderr
    said = running.stderr.readline()
    address = said.split("serving ")[1].split("/?")[0]
    try:
        assert httpx.get(f"{address}/api/health", trust_env=False).status_code == 401
        bearer = {"authorization": "Bearer a-token-of-some-length"}
        found = httpx.get(f"{address}/api/health", headers=bearer, trust_env=False)
        assert json.loads(found.text)["status"] == "ok"
        port = address.rpartition(":")[2]
        second = seriatim("--port", port, "--model", "http://127.0.0.1:9/v1")
        assert "is another one running?" in second.communicate(timeout=30)[1]
        assert second.returncode == 2
    finally:
        running.send_signal(signal.SIGTERM)
        said = running.communicate(timeout=20)[1]
    assert said == "seriatim: stopped; what came into the library or was downloaded until now is kept\n"
    assert running.returncode == -signal.SIGTERM


def test_a_second_server_of_one_home_says_so(tmp_path: Path) -> None:
    with _alone(tmp_path), pytest.raises(UsageError, match="another server is at work"):
        _alone(tmp_path)
    _alone(tmp_path).close()


def test_a_home_that_is_none_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match=r"no server can work in .*\(File exists\); set SERIATIM_HOME"):
        _alone(tmp_path / "file")
    (tmp_path / "home" / "server.lock").mkdir(parents=True)
    with pytest.raises(UsageError, match="Is a directory"):
        _alone(tmp_path / "home")

    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(UsageError, match="No locks available"):
        _alone(tmp_path)


def test_an_address_that_is_none_of_ours_is_told_as_such() -> None:
    with pytest.raises(UsageError, match=r"203\.0\.113\.9 is no address of this machine"):
        _socket("203.0.113.9", 0)


def test_what_is_written_is_sent_at_once() -> None:
    with _socket("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's algorithm on
