"""Tuning a tiny model, from examples to a model that others run."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from seriatim import olmoe
from seriatim.errors import ModelError, TrainingError, UsageError
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training import examples
from seriatim.training.export import export
from seriatim.training.metrics import read_metrics
from seriatim.training.tune_config import DpoConfig, DpoRun, LoraSettings, SftConfig, SftRun, StartSettings
from tests.olmoe.conftest import one_thread  # noqa: F401
from tests.olmoe.llama import llama
from tests.olmoe.tiny import checkpoint

pytest.importorskip("trl", reason="tuning needs TRL: pip install '.[tune]'")
pytest.importorskip("peft", reason="tuning needs PEFT: pip install '.[tune]'")
from seriatim.training import tune

LORA = LoraSettings(rank=4, alpha=8, attention=True)
PROMPT = [0, 258, 287, 261, 200, 274, 80, 306]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model `start`, and examples for it."""
    folder = tmp_path_factory.mktemp("tune")
    checkpoint(folder / "start", num_hidden_layers=2)
    said = [(f"Who signed lease {n}?", "The landlord did." if n % 2 else "Nobody.") for n in range(8)]
    (folder / "sft.jsonl").write_text(
        "".join(
            json.dumps({"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}) + "\n"
            for q, a in said
        )
    )
    (folder / "dpo.jsonl").write_text(
        "".join(json.dumps({"prompt": q, "chosen": a, "rejected": "It rained."}) + "\n" for q, a in said)
    )
    return folder


def sft_config(folder: Path, **changes: Any) -> SftConfig:
    run = SftRun(learning_rate=5e-3, epochs=3, batch_size=4, accumulate=2, warmup_share=0.1, save_every=2)
    return SftConfig(model=StartSettings(start="start"), run=replace(run, **changes), folder=folder)


def dpo_config(folder: Path, **changes: Any) -> DpoConfig:
    run = DpoRun(learning_rate=5e-3, epochs=3, batch_size=4, accumulate=2, save_every=2)
    return DpoConfig(model=StartSettings(start="start"), run=replace(run, **changes), folder=folder)


def conversations(folder: Path) -> list[examples.Row]:
    return examples.conversations(folder / "sft.jsonl", Tokenizer.from_folder(folder / "start"), 200).rows


def preferences(folder: Path) -> list[examples.Row]:
    return examples.preferences(folder / "dpo.jsonl", Tokenizer.from_folder(folder / "start"), 200).rows


@torch.inference_mode()
def log_likelihood(folder: Path, ids: list[int], learnt: slice) -> torch.Tensor:
    """Of each learnt token, by our own engine."""
    row = torch.tensor([ids])
    each = -F.cross_entropy(olmoe.load(folder / "start").logits(row[:, :-1])[0], row[0, 1:], reduction="none")
    return torch.cat([torch.zeros(1), each])[learnt]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return olmoe.load(path).state_dict()  # type: ignore[union-attr]


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_a_tuned_model_is_one_model_to_all_who_run_it(folder: Path, tmp_path: Path, lora: LoraSettings | None) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = replace(sft_config(folder, epochs=20, save_every=40), lora=lora)
    tuned = tune.sft(conversations(folder), config, tmp_path / "run")
    losses = [row["loss"] for row in read_metrics(tmp_path / "run")]
    assert len(losses) == tuned.step == 40
    assert losses[-1] < 0.3 * losses[0]
    written, file = export(tmp_path / "run", tmp_path / "tuned", gguf=True, kind="F32")

    ours, theirs = olmoe.load(written), AutoModelForCausalLM.from_pretrained(written).eval()
    ids = torch.tensor([PROMPT])
    with torch.inference_mode():
        torch.testing.assert_close(ours.logits(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)
        assert (ours.logits(ids) - olmoe.load(folder / "start").logits(ids)).abs().max() > 0.1
    asked = Tokenizer.from_folder(written).chat([examples.Turn("user", "Who signed lease 3?")])
    [answer] = ours.generate([asked], max_tokens=16, stop_ids=[0])
    said = [id for id in answer.token_ids if id]
    assert 2 < len(said) < 16
    with llama(file) as cpp:
        assert cpp.greedy(asked, len(said)) == said
        likely = cpp.logprobs(asked + said)
    assert max(likely, key=lambda id: likely[id]) == 0

    before, after = (json.loads((path / "config.json").read_text()) for path in (folder / "start", written))
    assert after["router_aux_loss_coef"] == before["router_aux_loss_coef"] == 0.01
    messages = [{"role": "user", "content": "Who signed lease 3?"}]
    rendered = AutoTokenizer.from_pretrained(written).apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True
    )["input_ids"]
    assert rendered == asked


def test_low_rank_changes_are_merged_as_they_were_trained(folder: Path, tmp_path: Path) -> None:
    """By hand: a weight of an expert has B A alpha / rank added; what was not to be changed is as before."""
    from safetensors.torch import load_file

    config = replace(sft_config(folder), lora=replace(LORA, attention=False))
    tuned = tune.sft(conversations(folder), config, tmp_path / "run")
    export(tmp_path / "run", tmp_path / "tuned")
    before, after = weights(folder / "start"), weights(tmp_path / "tuned")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "experts" in name}
    adapter = load_file(tuned.checkpoint / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in adapter.values()) == tuned.trained == 8 * 4 * 2 * (64 + 64 + 32 + 64)
    for name, place in (("gate_up_proj", "experts.base_layer"), ("down_proj", "experts")):
        found = after[f"model.layers.1.mlp.experts.{name}"] - before[f"model.layers.1.mlp.experts.{name}"]
        a, b = (adapter[f"base_model.model.model.layers.1.mlp.{place}.lora_{each}.weight"] for each in "AB")
        added = torch.einsum("ore,eri->eoi", b.reshape(-1, 4, 8), a.reshape(8, 4, -1)) * 8 / 4
        torch.testing.assert_close(found, added, rtol=1e-4, atol=1e-5)


def test_the_loss_is_that_of_answers_alone_whatever_the_config_says_of_balancing(folder: Path, tmp_path: Path) -> None:
    rows = conversations(folder)
    each = [
        log_likelihood(folder, row["input_ids"].tolist(), slice(int((row["labels"] == -100).sum()), None))
        for row in rows
    ]
    for accumulate in (1, 4):
        config = sft_config(folder, batch_size=8, accumulate=accumulate)
        tune.sft(rows, config, tmp_path / str(accumulate), steps=1)
        [first] = read_metrics(tmp_path / str(accumulate))
        assert first["loss"] == pytest.approx(-float(torch.cat(each).mean()), rel=1e-5)
    tune.sft(rows, sft_config(folder, batch_size=8, balancing=0.5), tmp_path / "balanced", steps=1)
    assert read_metrics(tmp_path / "balanced")[0]["loss"] > first["loss"] + 0.1


@pytest.mark.parametrize("balancing", [0.0, 0.5])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_held_out_loss_is_that_of_a_learnt_token_whatever_the_batches(
    folder: Path, tmp_path: Path, accumulate: int, balancing: float
) -> None:
    held_out = [
        {"input_ids": list(range(300, 300 + length)), "labels": [-100] * asked + list(range(300 + asked, 300 + length))}
        for length, asked in ((30, 2), (6, 5), (9, 1), (40, 39), (20, 0))
    ]
    config = sft_config(folder, learning_rate=0.0, batch_size=8, accumulate=accumulate, balancing=balancing)
    config = replace(config, data=replace(config.data, validation="x"), run=replace(config.run, validate_every=1))
    tuned = tune.sft(conversations(folder), config, tmp_path / "run", validation=held_out, steps=1)
    learnt = (slice(max(1, row["labels"].count(-100)), None) for row in held_out)
    each = [log_likelihood(folder, row["input_ids"], part) for row, part in zip(held_out, learnt, strict=True)]
    assert tuned.validation_loss == pytest.approx(-float(torch.cat(each).mean()), rel=1e-5)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_preferences_are_learnt_against_the_model_at_the_start(
    folder: Path, tmp_path: Path, lora: LoraSettings | None
) -> None:
    rows = preferences(folder)
    tuned = tune.dpo(rows, replace(dpo_config(folder, batch_size=8), lora=lora), tmp_path / "run")
    steps = read_metrics(tmp_path / "run")
    assert steps[0]["loss"] == pytest.approx(log(2), abs=1e-6)
    chosen = [
        log_likelihood(
            folder, [*row["prompt_ids"].tolist(), *row["chosen_ids"].tolist()], slice(len(row["prompt_ids"]), None)
        ).sum()
        for row in rows
    ]
    assert steps[0]["logps/chosen"] == pytest.approx(float(torch.stack(chosen).mean()), rel=1e-4)
    assert steps[-1]["rewards/margins"] > 0.1
    assert tuned.loss < log(2)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_a_run_in_two_parts_is_a_run_in_one(folder: Path, tmp_path: Path, lora: LoraSettings | None) -> None:
    rows, config = conversations(folder), replace(sft_config(folder), lora=lora)
    tune.sft(rows, config, tmp_path / "one")
    assert tune.sft(rows, config, tmp_path / "two", steps=3).step == 3
    tune.sft(rows, config, tmp_path / "two")
    for name in ("one", "two"):
        export(tmp_path / name, tmp_path / f"{name}-model")
    one, two = (weights(tmp_path / f"{name}-model") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [row["step"] for row in read_metrics(tmp_path / "two")] == [1, 2, 3, 4, 5, 6]
    assert tune.sft(rows, config, tmp_path / "two").loss == read_metrics(tmp_path / "one")[-1]["loss"]


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_whole_checkpoint(folder: Path, tmp_path: Path) -> None:
    settings = (
        f'[model]\nstart = "{folder / "start"}"\n[data]\ntrain = "{folder / "sft.jsonl"}"\n'
        "[run]\nlearning_rate = 5e-3\nepochs = 200\nbatch_size = 4\nsave_every = 3\n"
    )
    (tmp_path / "tune.toml").write_text(settings)
    command = [sys.executable, "-m", "seriatim", "train", "sft", "tune.toml", "--run", "run"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    job = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    while job.poll() is None and tune.newest(tmp_path / "run") is None:
        time.sleep(0.01)
    assert job.poll() is None, job.communicate()[1]
    job.send_signal(signal.SIGKILL)
    job.communicate()
    held = tune.newest(tmp_path / "run")
    assert held is not None
    torn = tmp_path / "run" / "checkpoints" / "checkpoint-1000"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes((held / "model.safetensors").read_bytes()[:1000])
    assert tune.newest(tmp_path / "run") == held
    from seriatim.training.config import read_settings

    config = read_settings(tmp_path / "tune.toml", SftConfig)
    reached = int(held.name.rpartition("-")[2])
    assert tune.sft(conversations(folder), config, tmp_path / "run", steps=reached + 2).step == reached + 2
    rows = read_metrics(tmp_path / "run")
    assert [row["step"] for row in rows] == list(range(1, reached + 3))


def test_rows_of_ids_and_labels_are_enough(folder: Path, tmp_path: Path) -> None:
    rows = [{"input_ids": [5, 6, 7, 8], "labels": [-100, -100, 7, 8]}] * 4
    held_out = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}]
    config = sft_config(folder)
    config = replace(config, data=replace(config.data, validation="x"), run=replace(config.run, validate_every=2))
    told: list[tuple[str, int, int]] = []
    tuned = tune.sft(rows, config, tmp_path / "run", validation=held_out, progress=lambda *each: told.append(each))
    assert tuned.step == 3
    speeds = [row["tokens_per_s"] for row in read_metrics(tmp_path / "run")]
    assert [each[1:] for each in told] == [(1, 3), (2, 3), (3, 3)]
    assert all(f", {speed:,.0f} tokens/s" in what for (what, _, _), speed in zip(told, speeds, strict=True))
    assert speeds[0] > 0
    assert tuned.loss < 0.8 * read_metrics(tmp_path / "run")[0]["loss"]
    assert tuned.validation_loss is not None
    with pytest.raises(TrainingError, match="row 1: needs input_ids, labels"):
        tune.sft([*rows[:1], {"input_ids": [5]}], config, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_run_goes_on_only_with_what_it_began_with(folder: Path, tmp_path: Path) -> None:
    rows = conversations(folder)
    tune.sft(rows, sft_config(folder), tmp_path / "run", steps=2)
    for changed, other in (
        ("lora.rank was None, not 4", (rows, replace(sft_config(folder), lora=LORA))),
        ("run.learning_rate was .*, not 1e-05", (rows, sft_config(folder, learning_rate=1e-5))),
        ("the data are others", (rows[1:], sft_config(folder))),
    ):
        with pytest.raises(UsageError, match=f"was begun otherwise: .*{changed}.* Name a new folder with --run"):
            tune.sft(other[0], other[1], tmp_path / "run")
    with pytest.raises(UsageError, match="kind was 'sft', not 'dpo'"):
        tune.dpo(preferences(folder), dpo_config(folder), tmp_path / "run")


def test_a_run_beyond_the_step_that_is_asked_for_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    rows = conversations(folder)
    begun = tune.sft(rows, sft_config(folder), tmp_path / "run", steps=2)
    for steps in (1, 2):
        assert tune.sft(rows, sft_config(folder), tmp_path / "run", steps=steps) == begun


def test_what_is_no_number_stops_the_run_before_it_is_kept(folder: Path, tmp_path: Path) -> None:
    wild = sft_config(folder, learning_rate=1e30, warmup_share=0.0, save_every=1)
    with pytest.raises(TrainingError, match=r"is no number at step 2; the newest good checkpoint is .*checkpoint-1"):
        tune.sft(conversations(folder), wild, tmp_path / "run")


@pytest.mark.parametrize("left", [b"nothing", b""])
def test_a_damaged_checkpoint_is_told(folder: Path, tmp_path: Path, left: bytes) -> None:
    tuned = tune.sft(conversations(folder), sft_config(folder), tmp_path / "run", steps=2)
    (tuned.checkpoint / "optimizer.pt").write_bytes(left)
    with pytest.raises(TrainingError, match=r"checkpoint-2 cannot be gone on from .*: remove it to go on before it"):
        tune.sft(conversations(folder), sft_config(folder), tmp_path / "run")


def test_the_counts_of_the_published_model() -> None:
    published = OlmoeConfig(
        vocab_size=50304, hidden_size=2048, intermediate_size=1024, num_hidden_layers=16, num_attention_heads=16,
        num_key_value_heads=16, num_experts=64, num_experts_per_tok=8, max_position_embeddings=4096,
    )  # fmt: skip
    assert tune.expected_trained(published, None) == 6_919_161_856
    assert tune.expected_trained(published, LoraSettings(rank=16)) == 16 * 64 * 16 * (4096 + 3072)


def test_a_start_that_is_no_model(tmp_path: Path) -> None:
    config = SftConfig(model=StartSettings(start="nowhere"), folder=tmp_path)
    with pytest.raises(ModelError, match="nowhere"):
        tune.sft([{"input_ids": [1, 2], "labels": [1, 2]}], config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="tuning runs in one process"):
        tune.sft(conversations(folder), sft_config(folder), tmp_path / "run")


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_computing_again_saves_memory_and_changes_no_loss(
    folder: Path, tmp_path: Path, lora: LoraSettings | None
) -> None:
    plain = replace(sft_config(folder), lora=lora)
    again = replace(plain, model=replace(plain.model, recompute=True))
    losses = [
        tune.sft(conversations(folder), each, tmp_path / str(n), steps=3).loss for n, each in enumerate((plain, again))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_no_change_goes_unnoticed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "EXPERTS", tune.EXPERTS[:1])
    with pytest.raises(TrainingError, match="weights would be trained, not"):
        tune.sft(conversations(folder), replace(sft_config(folder), lora=LORA), tmp_path / "run")
