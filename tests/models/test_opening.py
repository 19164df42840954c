from pathlib import Path

import pytest

from seriatim.errors import ModelError, UsageError
from seriatim.machine import cores, free_disk, free_memory, threads
from seriatim.models.endpoint import Endpoint
from seriatim.models.opening import READER, SMALL_READER, default_reader, open_generator, reader_path
from tests.models.chat_server import chat_server


def test_an_address_opens_an_endpoint() -> None:
    with chat_server() as server:
        server.models = [{"id": "one"}, {"id": "two"}]

        generator = open_generator(f"{server.url}/v1#two")

        assert isinstance(generator, Endpoint)
        assert generator.name == "two"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert reader_path(f"{tmp_path}/mine.gguf") == tmp_path / "mine.gguf"
    assert reader_path("~/mine.gguf") == Path.home() / "mine.gguf"
    with pytest.raises(ModelError, match="there is no model file"):
        open_generator(f"{tmp_path}/mine.gguf")


def test_what_is_there_needs_no_sign_that_it_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("no model")
    (tmp_path / "olmoe").mkdir()
    monkeypatch.chdir(tmp_path)

    assert reader_path("folder", fetch=False) == Path("folder")
    assert reader_path("file", fetch=False) == Path("file")
    with pytest.raises(ModelError, match="olmoe is not here yet: fetch it with `seriatim model pull olmoe`"):
        reader_path("olmoe", fetch=False)
    for nowhere in ("x" * 5000, "~nobody-of-this-name"):
        with pytest.raises(UsageError, match="no model is named"):
            reader_path(nowhere)


@pytest.mark.model
def test_the_context_is_never_longer_than_the_model_was_trained_for(reader_path: Path) -> None:
    reader = open_generator(str(reader_path), passage_tokens=50_000)
    assert reader.context_tokens == 8192
    reader.close()


def test_an_embedder_cannot_read() -> None:
    with pytest.raises(UsageError, match="cannot answer: take one of smollm2-135m"):
        open_generator("minilm")


@pytest.mark.parametrize("address", ["ftp://models.example/mine.gguf", "file:///tmp/mine.gguf", "ws://localhost:8080"])
def test_an_address_that_is_not_http_is_told(address: str) -> None:
    with pytest.raises(UsageError, match=f"{address} cannot be asked: .* begins with http:// or https://"):
        open_generator(address)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(UsageError, match="did you mean smollm2-135m"):
        open_generator("smolm2")


def test_the_default_is_one_of_two_or_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_reader() in (READER, SMALL_READER)

    monkeypatch.setenv("SERIATIM_MODEL", "minilm")
    assert default_reader() == "minilm"
    with pytest.raises(UsageError, match="cannot answer"):
        open_generator()


@pytest.mark.parametrize(
    ("of_cores", "memory", "disk", "expected"),
    [
        (2, 4 << 30, 3 * 10**9, READER),
        (1, 4 << 30, 3 * 10**9, SMALL_READER),
        (2, (4 << 30) - 1, 3 * 10**9, SMALL_READER),
        (2, 4 << 30, 3 * 10**9 - 1, SMALL_READER),
    ],
)
def test_a_small_machine_gets_the_small_reader(
    monkeypatch: pytest.MonkeyPatch, of_cores: int, memory: int, disk: int, expected: str
) -> None:
    monkeypatch.setattr("seriatim.models.opening.cores", lambda: of_cores)
    monkeypatch.setattr("seriatim.models.opening.free_memory", lambda: memory)
    monkeypatch.setattr("seriatim.models.opening.free_disk", lambda folder: disk)

    assert default_reader() == expected


def test_the_machine_is_measured(tmp_path: Path) -> None:
    assert cores() >= 1
    assert free_memory() > 1 << 20
    assert free_disk(tmp_path / "not" / "there") > 0


@pytest.mark.parametrize(("said", "expected"), [("3", 3), ("2,4", 2), ("", None), ("0", None), ("many", None)])
def test_the_environment_says_how_many_threads_compute(
    monkeypatch: pytest.MonkeyPatch, said: str, expected: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads() == (expected or cores())
