"""Training: what it learns, and that nothing of a run is lost, whatever stops it."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seriatim.errors import SeriatimError, TrainingError, UsageError
from seriatim.files import claimed
from seriatim.olmoe.loading import load
from seriatim.training import loop
from seriatim.training.config import ModelSettings, ScheduleSettings, TrainConfig, read_config
from seriatim.training.data import shards, vocabulary
from seriatim.training.metrics import read_metrics

SETTINGS = """
[model]
hidden_size = 32
intermediate_size = 16
num_hidden_layers = 2
num_attention_heads = 2
num_experts = 4
num_experts_per_tok = 2
[data]
sources = ["text.jsonl"]
vocab_size = 300
sequence_length = 16
validation = 0.3
[schedule]
steps = 20
warmup_steps = 4
anneal_steps = 4
[optimizer]
learning_rate = 1e-2
[run]
batch_size = 4
accumulate = 2
save_every = 5
validate_every = 10
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    rows = [f"Entry {n}: the Petrel sold {n} barrels of oil at Sunder for eleven crowns a barrel." for n in range(60)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    (tmp_path / "run.toml").write_text(SETTINGS)
    return read_config(tmp_path / "run.toml")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load(run / "last").state_dict()  # type: ignore[union-attr]


def same(one: Path, other: Path) -> bool:
    names = ("model.safetensors", "optimizer.safetensors")
    return all((one / "last" / name).read_bytes() == (other / "last" / name).read_bytes() for name in names)


def test_a_model_learns_and_its_checkpoint_is_a_model(config: TrainConfig, tmp_path: Path) -> None:
    trained = loop.pretrain(config, tmp_path / "run")
    rows = read_metrics(tmp_path / "run")
    assert [row["step"] for row in rows] == list(range(1, 21))
    assert rows[0]["loss"] == pytest.approx(math.log(300), rel=0.1)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert trained.validation_loss and trained.validation_loss < rows[0]["loss"]  # noqa: PT018
    assert rows[-1]["balancing_loss"] == pytest.approx(0.01, rel=0.5)
    assert 1 <= rows[-1]["load_max"] <= 4
    assert (tmp_path / "run" / "last").resolve() == trained.checkpoint.resolve()
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "step-0000015",
        "step-0000020",
    ]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    theirs, ours = AutoModelForCausalLM.from_pretrained(trained.checkpoint).eval(), load(trained.checkpoint)
    ids = AutoTokenizer.from_pretrained(trained.checkpoint)("the Petrel sold", return_tensors="pt").input_ids
    torch.testing.assert_close(ours.logits(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)


def test_a_run_in_two_parts_is_a_run_in_one_to_the_bit(config: TrainConfig, tmp_path: Path) -> None:
    loop.pretrain(config, tmp_path / "one")
    loop.pretrain(config, tmp_path / "two", steps=10)
    loop.pretrain(config, tmp_path / "two")
    assert same(tmp_path / "one", tmp_path / "two")
    times = {"tokens_per_s"}
    rows = [
        [{k: v for k, v in row.items() if k not in times} for row in read_metrics(tmp_path / n)] for n in ("one", "two")
    ]
    assert rows[0] == rows[1]


def test_a_killed_run_ends_as_if_it_had_not_been(config: TrainConfig, tmp_path: Path) -> None:
    loop.pretrain(config, tmp_path / "whole")
    command = [sys.executable, "-m", "seriatim", "train", "pretrain", str(tmp_path / "run.toml")]
    command += ["--run", str(tmp_path / "killed")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "killed" / "checkpoints" / "step-0000010").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert same(tmp_path / "whole", tmp_path / "killed")


def test_accumulation_changes_nothing_but_memory(config: TrainConfig, tmp_path: Path) -> None:
    """But for the auxiliary losses, which are of each part, and rounding."""
    plain = replace(config, loss=replace(config.loss, balancing=0.0, z=0.0))
    whole = replace(plain, run=replace(plain.run, accumulate=1))
    loop.pretrain(plain, tmp_path / "parts", steps=5)
    loop.pretrain(whole, tmp_path / "whole", steps=5)
    one, other = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-3, atol=1e-4)


def test_what_is_no_number_stops_the_run_before_it_is_kept(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.pretrain(config, tmp_path / "run", steps=5)
    kept = weights(tmp_path / "run")
    monkeypatch.setattr(loop, "learning_rate", lambda *_: 1e30)
    with pytest.raises(TrainingError, match=r"is no number at step .*newest good checkpoint is .*step-0000005"):
        loop.pretrain(config, tmp_path / "run")
    for name, tensor in weights(tmp_path / "run").items():
        assert (tensor == kept[name]).all()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_data_file_that_is_lost_or_changed_is_named_with_the_newest_good_checkpoint(
    config: TrainConfig, tmp_path: Path, split: str
) -> None:
    run = tmp_path / "run"
    loop.pretrain(config, run, steps=5)
    file = run / "data" / f"{split}-00000.bin"
    data = file.read_bytes()
    file.write_bytes(data[:100] + data[80:100] + data[120:])
    good = r"newest good checkpoint is .*step-0000005"
    with pytest.raises(TrainingError, match=rf"{file.name} is not as it was written; .*; the {good}"):
        loop.pretrain(config, run)
    file.unlink()
    with pytest.raises(TrainingError, match=rf"{file.name} is gone; .*; the {good}"):
        loop.pretrain(config, run)
    file.write_bytes(data)
    loop.pretrain(config, run, steps=6)


@pytest.mark.parametrize("damage", [b"", b"\xff" * (1 << 16)], ids=["cut short", "no ids"])
def test_a_data_file_that_is_damaged_while_it_is_read_stops_the_run(
    config: TrainConfig, tmp_path: Path, damage: bytes
) -> None:
    file = tmp_path / "run" / "data" / "train-00000.bin"

    def harm(_what: str, done: int, total: int) -> None:
        if (done, total) == (7, 20):
            file.write_bytes(damage)

    with pytest.raises(TrainingError) as caught:
        loop.pretrain(config, tmp_path / "run", progress=harm)
    told = str(caught.value)
    assert told.startswith(f"stopped after step 7: {file} is not as it was written")
    assert told.endswith("step-0000005")


def test_texts_may_stand_in_another_column(config: TrainConfig, tmp_path: Path) -> None:
    file = tmp_path / "text.jsonl"
    file.write_text(file.read_text().replace('"text"', '"body"'))
    with pytest.raises(TrainingError, match=r"line 1: no text in 'text'; name its column with .* data\.field"):
        loop.pretrain(config, tmp_path / "run", steps=1)
    other = replace(config, data=replace(config.data, field="body"))
    assert loop.pretrain(other, tmp_path / "run", steps=1).step == 1


def test_a_full_disk_stops_the_run_at_its_last_checkpoint(config: TrainConfig, tmp_path: Path, tiny_disk: Path) -> None:
    run = tiny_disk / "run"
    loop.pretrain(config, run, steps=10)
    filler = tiny_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(tiny_disk).free))
    with pytest.raises(TrainingError, match=r"No space left on device; the newest good checkpoint is .*step-0000010"):
        loop.pretrain(config, run)
    filler.unlink()
    loop.pretrain(config, run)
    loop.pretrain(config, tmp_path / "whole")
    assert same(run, tmp_path / "whole")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("optimizer.safetensors", "nothing", "the training state in .*step-0000010 cannot be read"),
        ("training.json", "[]", "the training state in .*step-0000010 cannot be read"),
        ("model.safetensors", "nothing", "the model in .*step-0000010 is damaged"),
        ("config.json", "{", "the model in .*step-0000010 is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_goes_on(
    config: TrainConfig, tmp_path: Path, file: str, text: str, told: str
) -> None:
    loop.pretrain(config, tmp_path / "run", steps=10)
    newest = (tmp_path / "run" / "last").resolve()
    (newest / file).write_text(text)
    with pytest.raises(TrainingError, match=f"{told}.*remove that folder to go on from the one before"):
        loop.pretrain(config, tmp_path / "run")
    shutil.rmtree(newest)
    assert loop.pretrain(config, tmp_path / "run", steps=10).checkpoint == newest


def test_a_copy_of_a_checkpoint_is_left_alone(config: TrainConfig, tmp_path: Path) -> None:
    loop.pretrain(config, tmp_path / "run", steps=5)
    kept = tmp_path / "run" / "checkpoints"
    for name in ("step-0000005-mine", "step-best"):
        shutil.copytree(kept / "step-0000005", kept / name)
    loop.pretrain(replace(config, run=replace(config.run, keep=1)), tmp_path / "run", steps=10)
    assert {path.name for path in kept.iterdir()} == {"step-0000010", "step-0000005-mine", "step-best"}


def test_a_start_that_was_refused_holds_the_run_to_nothing(config: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for told, wrong in (
        ("hidden_size = 0", replace(config, model=replace(config.model, hidden_size=0))),
        ("no whole sequence is held out", replace(config, data=replace(config.data, validation=0.0))),
        ("must be at least 300", replace(config, model=replace(config.model, vocab_size=299))),
        ("make no sequence of 9001", replace(config, data=replace(config.data, sequence_length=9000))),
    ):
        with pytest.raises(SeriatimError, match=told):
            loop.pretrain(wrong, run)
        assert not (run / "settings.json").exists()
    smaller = replace(config, data=replace(config.data, vocab_size=290))
    assert loop.pretrain(smaller, run, steps=1).step == 1
    assert json.loads((run / "last" / "config.json").read_text())["vocab_size"] == 290


def test_until_a_run_begins_its_data_follow_the_texts(config: TrainConfig, tmp_path: Path) -> None:
    text, run = tmp_path / "text.jsonl", tmp_path / "run"
    rows = text.read_text()
    text.write_text(rows.splitlines()[0])
    with pytest.raises(SeriatimError):
        loop.pretrain(config, run)
    text.write_text(rows)
    loop.pretrain(config, run, steps=5)
    loop.pretrain(config, tmp_path / "other", steps=5)
    assert same(run, tmp_path / "other")
    text.unlink()  # read once: the run goes on without it
    assert loop.pretrain(config, run, steps=6).step == 6


def test_data_that_no_run_has_made_are_not_made_anew(config: TrainConfig, tmp_path: Path) -> None:
    data = tmp_path / "run" / "data"
    data.mkdir(parents=True)
    (data / "mine.txt").write_text("mine")
    with pytest.raises(TrainingError, match="holds no token shards"):
        loop.pretrain(config, tmp_path / "run")
    assert (data / "mine.txt").exists()
    shutil.rmtree(data)
    shards.write([tmp_path / "text.jsonl"], data, vocabulary.trained(["the oil of Sunder"], 258))
    with pytest.raises(UsageError, match=r"was not made by a run: name it in data\.shards"):
        loop.pretrain(config, tmp_path / "run")
    assert (data / "manifest.json").exists()


@pytest.mark.parametrize("held", ["[]", "{", '{"format": 1}'])
def test_damaged_settings_of_a_run_are_named(config: TrainConfig, tmp_path: Path, held: str) -> None:
    loop.pretrain(config, tmp_path / "run", steps=5)
    (tmp_path / "run" / "settings.json").write_text(held)
    with pytest.raises(TrainingError, match=r"settings\.json"):
        loop.pretrain(config, tmp_path / "run")


def test_a_model_is_continued(config: TrainConfig, tmp_path: Path) -> None:
    first = loop.pretrain(config, tmp_path / "run", steps=5)
    (tmp_path / "start").symlink_to(first.checkpoint)
    data = replace(config.data, sources=(), shards="run/data")
    going = replace(config, model=ModelSettings(start="start"), data=data, folder=tmp_path)
    loop.pretrain(going, tmp_path / "on", steps=5)
    assert read_metrics(tmp_path / "on")[0]["loss"] < read_metrics(tmp_path / "run")[0]["loss"]
    others = replace(going, data=replace(config.data, vocab_size=301))
    with pytest.raises(UsageError, match=r"made with another tokenizer than that of .*start"):
        loop.pretrain(others, tmp_path / "others")
    longer = replace(going, data=replace(data, sequence_length=17))
    with pytest.raises(UsageError, match=r"data\.sequence_length = 17 must be at most 16"):
        loop.pretrain(longer, tmp_path / "longer")
    small = replace(config, model=replace(config.model, vocab_size=299))
    with pytest.raises(UsageError, match=r"model\.vocab_size = 299 must be at least 300"):
        loop.pretrain(small, tmp_path / "small")


def test_a_run_goes_on_only_with_what_it_began_with(config: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop.pretrain(config, run, steps=7)
    for told, other in (
        (r"run\.seed was 0, not 1", replace(config, run=replace(config.run, seed=1))),
        (r"data\.sources was \['text.jsonl'\]", replace(config, data=replace(config.data, sources=("b.jsonl",)))),
        (r"schedule\.steps was 20, not 30", replace(config, schedule=replace(config.schedule, steps=30))),
        (r"optimizer\.beta1 .*; run\.accumulate", replace(
            config, optimizer=replace(config.optimizer, beta1=0.8), run=replace(config.run, accumulate=1)
        )),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=f"run was begun otherwise: .*{told}.*Name a new folder with --run"):
            loop.pretrain(other, run)
    assert loop.pretrain(replace(config, run=replace(config.run, save_every=3, keep=4)), run, steps=9).step == 9
    written = json.loads((run / "settings.json").read_text())
    del written["optimizer"]["eps"]  # as if the run were older than the setting
    (run / "settings.json").write_text(json.dumps(written))
    with pytest.raises(UsageError, match=r"optimizer\.eps was 1e-08, not 0\.1"):
        loop.pretrain(replace(config, optimizer=replace(config.optimizer, eps=0.1)), run)
    assert loop.pretrain(config, run, steps=9).step == 9
    (tmp_path / "text.jsonl").write_text('{"text": "Other words altogether, many times over, but not in a row."}\n' * 9)
    shutil.rmtree(run / "data")
    with pytest.raises(UsageError, match="the data are others"):
        loop.pretrain(replace(config, run=replace(config.run, validate_every=0)), run)


def test_steps_may_grow_where_the_rates_until_then_are_the_same(config: TrainConfig, tmp_path: Path) -> None:
    even = replace(config, schedule=ScheduleSettings(steps=5, warmup_steps=2, final_share=1.0))
    longer = replace(even, schedule=replace(even.schedule, steps=10))
    loop.pretrain(even, tmp_path / "run")
    assert loop.pretrain(longer, tmp_path / "run").step == 10
    loop.pretrain(longer, tmp_path / "whole")
    assert same(tmp_path / "run", tmp_path / "whole")


def test_what_kills_left_half_written_is_removed(config: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for left in (run / ".data-12ab_xyz" / "data", run / "checkpoints" / ".step-0000005-12ab_xyz" / "step-0000005"):
        left.mkdir(parents=True)
        (left / "half").write_text("half")
    (run / "checkpoints" / ".mine").touch()
    with claimed(run / "training.lock"), pytest.raises(UsageError, match="another process trains in"):
        loop.pretrain(config, run)
    assert (run / ".data-12ab_xyz").exists()  # the other process may be writing it
    loop.pretrain(config, run, steps=5)
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"step-0000005", ".mine"}
    assert not list(run.glob(".data-*"))


def test_a_run_is_of_one_process(config: TrainConfig, tmp_path: Path) -> None:
    with claimed(tmp_path / "run" / "training.lock"), pytest.raises(UsageError, match="another process trains in"):
        loop.pretrain(config, tmp_path / "run")
    assert loop.pretrain(config, tmp_path / "run", steps=1).step == 1


@pytest.mark.parametrize("place", ["checkpoints.keep", "validation_loss"])
def test_each_step_is_told_once_wherever_a_run_is_stopped(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Stopped after the row and before the checkpoint of step 10, and after both."""
    run = tmp_path / "run"
    loop.pretrain(config, run, steps=5)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(f"seriatim.training.loop.{place}", stop)
        with pytest.raises(KeyboardInterrupt):
            loop.pretrain(config, run)
    assert (run / "last").resolve().name == ("step-0000005" if place == "checkpoints.keep" else "step-0000010")
    assert read_metrics(run)[-1]["step"] == 10
    loop.pretrain(config, run)
    told = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in told if "loss" in row] == list(range(1, 21))
    assert [row["step"] for row in told if "validation_loss" in row] == [5, 10, 20]


def test_a_run_that_is_done_tells_its_losses_again(config: TrainConfig, tmp_path: Path) -> None:
    first = loop.pretrain(config, tmp_path / "run")
    assert loop.pretrain(config, tmp_path / "run") == first
    (tmp_path / "run" / "metrics.jsonl").unlink()
    again = loop.pretrain(config, tmp_path / "run")
    assert (again.loss, again.validation_loss) == (None, first.validation_loss)


def test_what_torch_says_is_told_in_a_line(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.\nat::empty")

    monkeypatch.setattr(loop, "step_losses", full)
    with pytest.raises(TrainingError) as caught:
        loop.pretrain(config, tmp_path / "run")
    assert "the memory is full" in str(caught.value)
    assert "take a larger run.accumulate" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_to_be_held_out_is_looked_for_first(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no whole sequence is held out: set data\.validation"):
        loop.pretrain(replace(config, data=replace(config.data, validation=0.0)), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_experts_that_choose_have_no_load_to_tell(config: TrainConfig, tmp_path: Path) -> None:
    choosing = replace(
        config, model=replace(config.model, routing="expert_choice"), loss=replace(config.loss, balancing=0.0)
    )
    told: list[str] = []
    loop.pretrain(choosing, tmp_path / "run", steps=1, progress=lambda what, *_: told.append(what))
    assert "load_max" not in read_metrics(tmp_path / "run")[0]
    assert "fullest expert" not in told[-1]


def test_settings_without_a_tokenizer(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.tokenizer, a file, or data\.vocab_size"):
        loop.pretrain(replace(config, data=replace(config.data, vocab_size=0)), tmp_path / "run")


def test_the_held_out_loss_is_the_mean_over_its_tokens(config: TrainConfig, tmp_path: Path) -> None:
    from seriatim.training.beginning import new_model
    from seriatim.training.corpus import corpus
    from seriatim.training.parallel import Processes

    data = corpus(config, tmp_path / "run", Processes())
    model = new_model(config, data)
    total, count = 0.0, 0
    batches = list(data.held_out)
    for batch in batches:
        ids, labels = (torch.from_numpy(each).long() for each in batch)
        probabilities = model.logits(ids).log_softmax(-1)
        chosen = probabilities.gather(-1, labels[..., None])
        total, count = total - float(chosen.sum()), count + chosen.numel()
    assert loop.validation_loss(model, data, config) == pytest.approx(total / count, rel=1e-4)
    assert isinstance(batches[0].ids_BT, np.ndarray)
