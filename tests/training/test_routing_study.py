"""Routing statistics of checkpoints, from the command a person types to what transformers' own routers choose."""

import json
import os
from pathlib import Path

import pytest
import torch
import transformers

from seriatim.errors import ModelError, UsageError
from seriatim.training import loop
from seriatim.training.config import TrainConfig
from seriatim.training.routing_plots import draw
from seriatim.training.routing_study import study
from tests.cli.terminal import seriatim
from tests.training.test_loop import config, one_thread  # noqa: F401

TEXTS = {"log": "Entry 7: the Petrel sold seven barrels of oil at Sunder. " * 30, "tale": "She sailed at dawn. " * 60}


@pytest.fixture
def trained(config: TrainConfig, tmp_path: Path) -> Path:  # noqa: F811
    loop.pretrain(config, tmp_path / "run", steps=10)
    return tmp_path / "run"


def test_shares_are_shares(trained: Path) -> None:
    found = study(trained / "last", TEXTS, tokens=400)
    assert all(0 < count <= 400 for count in found["tokens"].values())
    for layer in range(2):
        assert sum(found["load"][layer]) == pytest.approx(1)
        for domain in found["domain_specialisation"][layer]:
            assert sum(domain) == pytest.approx(found["experts_per_token"])
        row = found["vocabulary_specialisation"][layer]
        assert 0 < row["read"] <= 1
        assert len(row["tokens_by_expert"]) == found["experts"]


def test_the_load_is_that_of_transformers_routers(trained: Path) -> None:
    found = study(trained / "last", {"log": TEXTS["log"]}, tokens=16)
    theirs = transformers.OlmoeForCausalLM.from_pretrained(trained / "last")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(trained / "last" / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode(TEXTS["log"], add_special_tokens=False)[:16]])
    routers = theirs(ids, output_router_logits=True).router_logits
    for layer, logits_NE in enumerate(routers):
        counts_E = logits_NE.topk(2).indices.flatten().bincount(minlength=4)
        assert found["load"][layer] == pytest.approx((counts_E / counts_E.sum()).tolist())


def test_a_checkpoint_is_saturated_against_itself_and_less_against_an_earlier_one(trained: Path) -> None:
    assert study(trained / "last", TEXTS, tokens=200, against=trained / "last")["saturation"] == [1.0, 1.0]
    earlier = trained / "checkpoints" / "step-0000005"
    assert all(0 < each <= 1 for each in study(trained / "last", TEXTS, tokens=200, against=earlier)["saturation"])


def test_heat_maps_are_drawn(trained: Path, tmp_path: Path) -> None:
    files = draw(study(trained / "last", TEXTS, tokens=200), tmp_path / "plots")
    assert {file.name for file in files} == {
        f"routing-{name}.{form}" for name in ("load", "coactivation", "domains") for form in ("svg", "png")
    }
    assert all(file.stat().st_size > 1000 for file in files)


def test_what_cannot_be_studied_is_said(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too short"):
        study(trained / "last", {"nothing": ""})
    with pytest.raises(ModelError):
        study(tmp_path, TEXTS)


def test_the_command_writes_json_and_plots(trained: Path, tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.txt").write_text(text)
    done = seriatim(
        "train", "routing", str(trained / "last"), str(tmp_path / "log.txt"), f"fiction={tmp_path / 'tale.txt'}",
        "--tokens", "200", "--out", str(tmp_path / "out"), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["domains"] == ["log", "fiction"]
    assert json.loads((tmp_path / "out" / "routing.json").read_text()) == told
    assert (tmp_path / "out" / "routing-load.svg").exists()
    twice = seriatim("train", "routing", str(trained / "last"), str(tmp_path / "log.txt"), str(tmp_path / "log.txt"))
    assert (twice.returncode, twice.stderr.count("\n")) == (2, 1)


def test_without_matplotlib_the_study_is_kept(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'without'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "matplotlib.py").write_text("raise ImportError('none here')")
    (tmp_path / "log.txt").write_text(TEXTS["log"])
    done = seriatim(
        "train", "routing", str(trained / "last"), str(tmp_path / "log.txt"), "--tokens", "200",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "plots need matplotlib" in done.stderr
    assert "routing.json is written" in done.stderr
    assert json.loads((tmp_path / "out" / "routing.json").read_text())["domains"] == ["log"]
    (tmp_path / "taken").write_text("")
    taken = seriatim(
        "train", "routing", str(trained / "last"), str(tmp_path / "log.txt"), "--out", str(tmp_path / "taken")
    )
    assert (taken.returncode, taken.stderr.count("\n")) == (1, 1)
    assert "taken cannot be written" in taken.stderr
