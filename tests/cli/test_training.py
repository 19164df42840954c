import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.examples import Turn
from tests.cli.terminal import SERIATIM, seriatim
from tests.olmoe.tiny import TINY, checkpoint
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
    for steps, line in (("5", "is at step 20 already"), ("21", "ends at step 20, as its settings say"), ("20", None)):
        done = seriatim("train", "pretrain", "run.toml", "--run", "run", "--steps", steps, folder=folder)
        assert done.returncode == 0
        assert (line in done.stderr) if line else (done.stderr == "")
        assert done.stdout.startswith("step 20, loss ")
    assert (folder / "run" / "last" / "model.safetensors").exists()
    written = seriatim("model", "generate", "The Petrel", "--model", "run/last", "--max-tokens", "4", folder=folder)
    assert written.returncode == 0, written.stderr


def test_a_run_is_resumed_by_its_folder(folder: Path) -> None:
    assert seriatim("train", "pretrain", "run.toml", "--run", "run", "--steps", "2", folder=folder).returncode == 0
    told = json.loads(seriatim("train", "resume", "run", "--steps", "4", "--json", folder=folder).stdout)
    assert told["step"] == 4
    (folder / "run.toml").unlink()
    gone, none = (seriatim("train", "resume", name, folder=folder) for name in ("run", "."))
    assert (gone.returncode, none.returncode) == (2, 2)
    assert "run.toml, which is gone: go on with seriatim train pretrain CONFIG.toml --run run" in gone.stderr
    assert "holds no run" in none.stderr


def test_other_settings_are_refused_and_not_remembered(folder: Path) -> None:
    assert seriatim("train", "pretrain", "run.toml", "--run", "run", "--steps", "2", folder=folder).returncode == 0
    (folder / "other.toml").write_text((folder / "run.toml").read_text().replace("learning_rate = 1e-2", "beta1 = 0.8"))
    other = seriatim("train", "pretrain", "other.toml", "--run", "run", folder=folder)
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "optimizer.learning_rate was 0.01, not 0.0004; optimizer.beta1 was 0.9, not 0.8" in other.stderr
    for _ in range(2):  # the second time there is nothing left to do
        done = seriatim("train", "resume", "run", "--steps", "4", "--json", folder=folder)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout, parse_constant=pytest.fail)["loss"] > 0


def test_a_run_is_resumed_with_its_options(folder: Path) -> None:
    """Two processes would share the experts; the one that resumes it says that it cannot alone."""
    from seriatim.cli.resuming import remembered

    with remembered(folder / "run", "pretrain", folder / "run.toml", expert_parallel=2):
        pass
    done = seriatim("train", "resume", "run", folder=folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "2 processes share the experts of this run: go on with torchrun --nproc-per-node 2 -m --" in done.stderr
    assert f"seriatim train pretrain {folder / 'run.toml'} --run run" in done.stderr


def test_who_stops_a_run_is_told_how_to_go_on(folder: Path) -> None:
    (folder / "run.toml").write_text((folder / "run.toml").read_text().replace("steps = 20", "steps = 100000"))
    process = subprocess.Popen(
        [*SERIATIM, "train", "pretrain", "run.toml", "--run", "run"], cwd=folder, stderr=subprocess.PIPE
    )
    while process.poll() is None and not (folder / "run" / "last").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert told.endswith("seriatim: stopped; go on with: seriatim train resume run\n")
    assert "Traceback" not in told


def test_a_plan_for_a_model_that_is_continued_has_its_shape(folder: Path) -> None:
    (folder / "start").mkdir()
    shape = {**TINY, "model_type": "olmoe", "vocab_size": 400}
    (folder / "start" / "config.json").write_text(json.dumps(shape))
    others = SETTINGS[SETTINGS.index("[data]") :].replace('sources = ["text.jsonl"]', 'shards = "shards"')
    (folder / "on.toml").write_text('[model]\nstart = "start"\n' + others.replace("vocab_size = 300\n", ""))
    done = seriatim("train", "plan", "on.toml", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"] == OlmoeConfig.from_dict(shape).total_parameters
    (folder / "start" / "config.json").unlink()
    none = seriatim("train", "plan", "on.toml", folder=folder)
    assert (none.returncode, none.stderr.count("\n")) == (1, 1)
    assert "start holds no config.json" in none.stderr


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


SFT = """
[model]
start = "start"
[data]
train = "sft.jsonl"
[lora]
rank = 2
[run]
epochs = 1
batch_size = 2
"""


@pytest.fixture
def examples(folder: Path) -> Path:
    rows = [[("user", f"Who sold {n} barrels?"), ("assistant", "The Petrel.")] for n in (4, 5, 6, 70_000)]
    messages = [[{"role": role, "content": text} for role, text in row] for row in rows]
    (folder / "sft.jsonl").write_text("".join(json.dumps({"messages": each}) + "\n" for each in messages))
    (folder / "sft.toml").write_text(SFT)
    return folder


@pytest.mark.slow
def test_a_model_is_tuned_and_made_into_a_file_for_llama_cpp(examples: Path) -> None:
    pytest.importorskip("trl", reason="tuning needs TRL: pip install '.[tune]'")
    checkpoint(examples / "start", num_hidden_layers=1)
    length = len(Tokenizer.from_folder(examples / "start").chat([Turn("user", "Who sold 4 barrels?")])) + 12
    (examples / "sft.toml").write_text(SFT.replace("[lora]", f"max_length = {length}\n[lora]"))
    tuned = seriatim("train", "sft", "sft.toml", "--run", "run", "--json", folder=examples)
    assert tuned.returncode == 0, tuned.stderr
    told = json.loads(tuned.stdout)
    assert (told["step"], told["examples"], told["too_long"]) == (2, 3, 1)
    assert told["trained_parameters"] == 8 * 2 * (64 + 64 + 32 + 64)
    assert f"seriatim: 1 examples of data.train are longer than {length} tokens: left out\n" in tuned.stderr
    assert not [line for line in tuned.stderr.splitlines()[1:] if not line.startswith("seriatim: tuning")]
    done = seriatim("train", "export", "run", "--out", "tuned", "--gguf", "--json", folder=examples)
    assert done.returncode == 0
    assert not [line for line in done.stderr.splitlines() if not line.startswith("seriatim: exporting")]
    assert json.loads(done.stdout)["written"] == ["tuned", "tuned.gguf"]
    again = seriatim("train", "export", "run", "--out", "tuned", folder=examples)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "change", "status", "told"),
    [
        (("sft", "sft.toml", "--run", "run"), ("rank", "rnak"), 2, "did you mean lora.rank?"),
        (("dpo", "sft.toml", "--run", "run"), ("train =", "validation ="), 2, "held-out loss takes both"),
        (("sft", "sft.toml", "--run", "run"), ('train = "sft.jsonl"', ""), 2, "data.train is missing"),
        (("sft", "sft.toml", "--run", "run"), ("[data]", "[data]"), 1, "start holds no config.json"),
        (("export", "nowhere", "--out", "tuned"), ("[data]", "[data]"), 1, "nowhere holds no checkpoint"),
    ],
)
def test_what_cannot_be_tuned_is_told_in_one_line(
    examples: Path, arguments: tuple[str, ...], change: tuple[str, str], status: int, told: str
) -> None:
    (examples / "sft.toml").write_text(SFT.replace(*change))
    done = seriatim("train", *arguments, folder=examples)
    assert told in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert not (examples / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("data", "text.jsonl", "--out", "data"), 2, "name a tokenizer with --tokenizer"),
        (("data", "nowhere", "--out", "data", "--vocab", "300"), 2, "nowhere"),
        (("data", "text.jsonl", "--out", "data", "--vocab", "300", "--field", "body"), 1, "no text in 'body'"),
        (("data", "text.jsonl", "--out", ".", "--vocab", "300"), 1, "exists already"),
        (("data", "text.jsonl", "--out", "data", "--vocab", "300", "--validation", "0.9"), 2, "a number from 0 to 0.5"),
        (
            ("data", "text.jsonl", "--out", "data", "--vocab", "300", "--validation", "nan"),
            2,
            "--validation = nan must",
        ),
        (("export", "run", "--out", "."), 2, ". cannot be a new folder"),
        (("export", "run", "--out", "/", "--gguf"), 2, "/ cannot be a new folder"),
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
