import json
from pathlib import Path

import pytest

from seriatim.models.checkpoint import inspect
from seriatim.models.generator import Message
from seriatim.models.opening import open_generator
from tests.cli.terminal import seriatim
from tests.models.olmoe_folder import make_checkpoint
from tests.olmoe.conftest import one_thread  # noqa: F401


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def convert(*arguments: object) -> str:
    done = seriatim("model", "convert", *map(str, arguments))
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def failure(*arguments: object) -> tuple[int, str]:
    done = seriatim("model", "convert", *map(str, arguments))
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


def said_by(model: Path) -> str:
    reader = open_generator(str(model))
    return "".join(piece.text for piece in reader.stream([Message("user", "Where is the inner one?")], max_tokens=12))


def test_every_form_says_the_same(folder: Path, tmp_path: Path) -> None:
    gguf, back, packed = tmp_path / "tiny.gguf", tmp_path / "back", tmp_path / "packed"

    told = json.loads(convert(folder, gguf, "--to", "gguf", "--kind", "F32", "--json"))
    convert(gguf, back, "--to", "hf")
    shown = convert(folder, packed, "--to", "int8")

    assert told == {
        "source": str(folder),
        "destination": str(gguf),
        "to": "gguf",
        "kind": "F32",
        "bytes": gguf.stat().st_size,
    }
    assert shown == f"{packed} holds tiny as int8 (0.3 MB)\n"
    assert inspect(back).parts == inspect(folder).parts
    assert said_by(back) == said_by(folder) == said_by(packed)


def test_wrong_use_is_told(folder: Path, tmp_path: Path) -> None:
    gguf, new = tmp_path / "tiny.gguf", tmp_path / "new"
    convert(folder, gguf, "--to", "gguf")

    assert failure(gguf, new, "--to", "int8")[0] == 2
    assert failure(folder, new, "--to", "hf")[0] == 2
    assert failure(folder, new, "--to", "int8", "--kind", "F16")[0] == 2
    assert failure(folder, new, "--to", "onnx")[0] == 2
    status, message = failure(tmp_path / "nowhere", new, "--to", "hf")
    assert (status, message) == (1, f"seriatim: there is no model {tmp_path / 'nowhere'}: check the path\n")
    status, message = failure(folder, gguf, "--to", "gguf")
    assert status == 1
    assert "exists already" in message
    assert not new.exists()
