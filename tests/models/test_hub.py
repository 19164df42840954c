"""Whole checkpoints from the hub: listed, fetched file by file, resumed and checked."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from seriatim.errors import ModelError
from seriatim.models import hub
from seriatim.models.catalog import MODELS, NamedModel, Snapshot
from seriatim.models.download import pull
from seriatim.models.transport import open_client
from tests.models.file_server import FileServer, Route, file_server
from tests.models.hub_repository import publish_repository

SNAPSHOT = Snapshot("someone/tiny-olmoe", "c0ffee" * 6 + "c0ff", 500_000)
MODEL = NamedModel("tiny-olmoe", "reader", "for tests", "MIT", 64, snapshot=SNAPSHOT)
WEIGHTS = "model-00001-of-00002.safetensors"
SMALL = {"config.json": b'{"model_type": "olmoe"}', "tokenizer_config.json": b"{}"}
LARGE = {
    "tokenizer.json": random.Random(1).randbytes(2_000),
    WEIGHTS: random.Random(2).randbytes(400_000),
    "model-00002-of-00002.safetensors": random.Random(3).randbytes(90_000),
}
OTHER = {"README.md": b"# Tiny", "pytorch_model.bin": b"a pickle", "evals/results.json": b"{}", ".gitattributes": b"*"}
FILES = {**SMALL, **LARGE}

PULLING = """
from seriatim.models.download import pull
from tests.models.test_hub import MODEL
pull(MODEL)
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.fixture
def routes(server: FileServer) -> dict[str, Route]:
    return publish_repository(server, SNAPSHOT, {**FILES, **OTHER})


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def failure(model: NamedModel = MODEL) -> str:
    with pytest.raises(ModelError) as raised:
        pull(model)
    message = str(raised.value)
    assert "\n" not in message
    assert not model.fetched
    return message


def test_a_whole_checkpoint_is_fetched_and_nothing_else(server: FileServer, routes: dict[str, Route]) -> None:
    told: list[tuple[int, int]] = []
    assert not MODEL.fetched
    assert MODEL.size == SNAPSHOT.size

    folder = pull(MODEL, progress=lambda what, done, total: told.append((done, total)))

    assert held(folder) == FILES
    assert MODEL.fetched
    assert MODEL.size == sum(map(len, FILES.values()))
    assert told == sorted(told)
    assert told[-1] == (MODEL.size, MODEL.size)
    seen = len(server.seen)
    pull(MODEL)
    assert len(server.seen) == seen, "what is here is not asked for again"


def test_the_hubs_own_client_reads_the_same_list(server: FileServer, routes: dict[str, Route]) -> None:
    path = f"/api/models/{SNAPSHOT.repo}/tree/{SNAPSHOT.revision}"
    server.routes[f"{path}?recursive=false&expand=false"] = server.routes[path]
    api = huggingface_hub.HfApi(endpoint=server.url, token=False)
    theirs = {
        entry.path: (entry.size, entry.lfs.sha256 if entry.lfs else "", "" if entry.lfs else entry.blob_id)
        for entry in api.list_repo_tree(SNAPSHOT.repo, revision=SNAPSHOT.revision)
        if isinstance(entry, huggingface_hub.RepoFile)
    }

    with open_client(connect_s=5, read_s=5) as client:
        ours = {file.name: (file.size, file.sha256, file.git_sha1) for file in hub.list_files(client, SNAPSHOT)}

    assert set(ours) == set(FILES)
    assert ours == {name: theirs[name] for name in FILES}


def test_a_cut_connection_is_taken_up_where_it_broke(server: FileServer, routes: dict[str, Route]) -> None:
    routes[WEIGHTS].faults = [("cut", 100_000), ("cut", 50_000)]

    assert held(pull(MODEL)) == FILES

    path = f"/{SNAPSHOT.repo}/resolve/{SNAPSHOT.revision}/{WEIGHTS}"
    assert [seen.headers.get("range") for seen in server.requests(path)] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent(path) == len(LARGE[WEIGHTS])


def test_a_killed_fetch_goes_on(server: FileServer, routes: dict[str, Route]) -> None:
    routes[WEIGHTS].bytes_per_s = 300_000
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    process = subprocess.Popen([sys.executable, "-c", PULLING], env=env)
    part = MODEL.folder / f"{WEIGHTS}.part"
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 100_000):
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    have = part.stat().st_size
    routes[WEIGHTS].bytes_per_s = None
    assert not MODEL.fetched

    assert held(pull(MODEL)) == FILES

    assert len(server.requests(f"/{SNAPSHOT.repo}/resolve/{SNAPSHOT.revision}/config.json")) == 1
    requests = server.requests(f"/{SNAPSHOT.repo}/resolve/{SNAPSHOT.revision}/{WEIGHTS}")
    assert requests[1].headers["range"] == f"bytes={have}-"


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_wrong_bytes_never_get_a_files_name(routes: dict[str, Route], name: str) -> None:
    routes[name].body = routes[name].body[:-1] + b"!"

    assert f"sent {name} with a wrong checksum" in failure()
    assert not (MODEL.folder / name).exists()
    assert not list(MODEL.folder.glob("*.part"))


def test_a_file_that_the_hub_lists_and_does_not_have_is_named(server: FileServer, routes: dict[str, Route]) -> None:
    del server.routes[f"/{SNAPSHOT.repo}/resolve/{SNAPSHOT.revision}/{WEIGHTS}"]

    assert "has no such file (HTTP 404)" in failure()


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "safetensors"])
def test_a_repository_that_is_no_checkpoint_is_told(server: FileServer, missing: str) -> None:
    publish_repository(server, SNAPSHOT, {name: body for name, body in FILES.items() if not name.endswith(missing)})

    assert "someone/tiny-olmoe on http://127.0.0.1" in failure()


@pytest.mark.parametrize(
    "tree",
    [
        b"<html>",
        b"{}",
        b'[{"type": "file"}]',
        b'[{"type": "file", "path": "config.json", "oid": "1234", "size": 3}]',
        b'[{"type": "file", "path": "a.safetensors", "oid": "1234", "size": 3, "lfs": {}}]',
    ],
)
def test_a_list_that_cannot_be_read_is_told(routes: dict[str, Route], tree: bytes) -> None:
    routes[""].body = tree

    message = failure()
    assert "sent a list of files that cannot be read" in message or "holds no checkpoint" in message


def test_no_file_lands_outside_the_models_folder(routes: dict[str, Route]) -> None:
    tree = json.loads(routes[""].body)
    evil = ("../evil.json", "/tmp/evil.json", "a/../../evil.json", "..\\evil.json")
    tree += [{"type": "file", "oid": "0" * 40, "size": 1, "path": path} for path in evil]
    routes[""].body = json.dumps(tree).encode()

    assert held(pull(MODEL)) == FILES


def test_a_hub_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("seriatim.models.transport._backoff_s", lambda attempt: 0.0)

    assert failure(MODELS["olmoe"]).startswith("olmoe could not be fetched: http://127.0.0.1:9 refused the connection")


def test_a_closed_repository_asks_for_a_token(
    server: FileServer, routes: dict[str, Route], monkeypatch: pytest.MonkeyPatch
) -> None:
    routes[""].faults = [401]
    assert "set HF_TOKEN" in failure()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    pull(MODEL)

    assert {seen.headers.get("authorization") for seen in server.seen} == {None, "Bearer hf_secret"}


def test_a_disk_too_small_is_told_before_weights_are_fetched(server: FileServer, routes: dict[str, Route]) -> None:
    tree = json.loads(routes[""].body)
    next(entry for entry in tree if entry["path"] == WEIGHTS)["size"] = 10**18
    routes[""].body = json.dumps(tree).encode()

    assert "MB are free" in failure()
    assert [seen.path for seen in server.seen] == [f"/api/models/{SNAPSHOT.repo}/tree/{SNAPSHOT.revision}"]


def test_another_commit_replaces_what_differs(server: FileServer, routes: dict[str, Route]) -> None:
    pull(MODEL)
    later = Snapshot(SNAPSHOT.repo, "d00d" * 10, SNAPSHOT.size)
    moved = {**FILES, "config.json": b'{"model_type": "olmoe", "vocab_size": 9}'}
    publish_repository(server, later, moved)
    model = NamedModel("tiny-olmoe", "reader", "for tests", "MIT", 64, snapshot=later)
    assert not model.fetched

    assert held(pull(model)) == moved
    assert server.requests(f"/{later.repo}/resolve/{later.revision}/{WEIGHTS}") == [], "the same bytes stay"
