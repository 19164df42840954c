import json
from pathlib import Path

import pytest

from tests.cli.terminal import seriatim
from tests.training.test_loop import SETTINGS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = [json.dumps({"text": f"Entry {n}: the Petrel sold {n} barrels of oil at Sunder."}) + "\n" for n in range(60)]
    (tmp_path / "text.jsonl").write_text("".join(rows))
    # int8, in which the model is asked, wants widths of 32, and a conversation's layout some room.
    settings = SETTINGS.replace("intermediate_size = 16", "intermediate_size = 32")
    (tmp_path / "run.toml").write_text(settings.replace("sequence_length = 16", "sequence_length = 64"))
    return tmp_path


def test_a_model_is_trained_taken_up_again_and_asked(folder: Path) -> None:
    begun = seriatim("train", "pretrain", "run.toml", "--run", "run", "--steps", "5", folder=folder)
    assert (begun.returncode, begun.stderr) == (0, "")
    assert begun.stdout.startswith("step 5, loss ")
    told = json.loads(seriatim("train", "pretrain", "run.toml", "--run", "run", "--json", folder=folder).stdout)
    assert told["step"] == 20
    assert told["validation_loss"] > 0
    assert (folder / "run" / "last" / "model.safetensors").exists()
    written = seriatim("model", "generate", "The Petrel", "--model", "run/last", "--max-tokens", "4", folder=folder)
    assert written.returncode == 0, written.stderr


def test_texts_become_shards(folder: Path) -> None:
    told = seriatim("train", "data", "text.jsonl", "--out", "data", "--vocab", "300", "--json", folder=folder)
    counts = json.loads(told.stdout)
    assert counts["train"]["documents"] == 60
    assert (
        "60 documents" in seriatim("train", "data", "text.jsonl", "--out", "b", "--vocab", "300", folder=folder).stdout
    )


def test_what_cannot_be_read_stops_the_command_or_is_left_out(folder: Path) -> None:
    with (folder / "text.jsonl").open("a") as file:
        file.write("no JSON\n" * 12)
    command = ("train", "data", "text.jsonl", "--out", "data", "--vocab", "300")
    stopped = seriatim(*command, folder=folder)
    assert (stopped.returncode, stopped.stderr.count("\n")) == (1, 1)
    assert "line 61: not JSON" in stopped.stderr
    assert not (folder / "data").exists()
    done = seriatim(*command, "--skip-unreadable", "--json", folder=folder)
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert (told["unreadable"], told["train"]["documents"]) == (12, 60)
    assert done.stderr.count("left out: ") == 10
    assert "left out 2 more: data/manifest.json names them" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("data", "text.jsonl", "--out", "data"), 2, "name a tokenizer with --tokenizer"),
        (("data", "nowhere", "--out", "data", "--vocab", "300"), 2, "nowhere"),
        (("data", "text.jsonl", "--out", "data", "--vocab", "300", "--field", "body"), 1, "no text in 'body'"),
        (("data", "text.jsonl", "--out", ".", "--vocab", "300"), 1, "exists already"),
        (("pretrain", "none.toml", "--run", "run"), 2, "cannot be read from none.toml"),
        (("pretrain", "text.jsonl", "--run", "run"), 2, "is not TOML"),
    ],
)
def test_wrong_use_is_one_line(folder: Path, arguments: tuple[str, ...], status: int, told: str) -> None:
    done = seriatim("train", *arguments, folder=folder)
    assert done.returncode == status
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "data").exists()
