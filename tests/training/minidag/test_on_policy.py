import json
from pathlib import Path

import pytest
import torch

from seriatim.errors import TrainingError
from seriatim.training.minidag import evaluate, on_policy, rl, rounds, study
from tests.training.minidag.test_rounds import mistaken
from tests.training.minidag.test_train import TINY


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(evaluate, "MOST", 12)
    monkeypatch.setattr(rl, "MOST", 12)
    monkeypatch.setattr(study, "IN_DISTRIBUTION", (3,))
    monkeypatch.setattr(study, "BEYOND", (4,))
    monkeypatch.setattr(rounds, "solve", mistaken)


@pytest.fixture
def config(tmp_path: Path) -> study.StudyConfig:
    (tmp_path / "study.toml").write_text(
        TINY.read_text() + '[study]\nplan = ["B\': 0"]\nproblems = 4\npoints = 1\npoint_problems = 2\n'
        "[round]\nsteps = 3\nproblems = 4\nsamples = 1\n"
        "[policy]\nsteps = 1\ngroups = 1\nsize = 2\noperations = [1, 2]\n"
    )
    return study.read_config(tmp_path / "study.toml")


def test_without_the_studys_run_there_is_nothing_to_begin_with(config: study.StudyConfig, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"B'-0/last yet; run the study first"):
        on_policy.on_policy(config, tmp_path / "runs", tmp_path / "results")


def test_each_job_begins_with_the_same_model_and_is_tested_once(
    config: study.StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.study(config, tmp_path / "runs", tmp_path / "results")
    made = on_policy.on_policy(config, tmp_path / "runs", tmp_path / "results")
    assert json.loads((tmp_path / "results" / "on_policy.json").read_text()) == made
    rows = {row["job"]: row for row in made}
    assert list(rows) == [
        "start", "round", "round control", "policy reflections", "policy all", "policy shuffled",
    ]  # fmt: skip
    trained = json.loads((tmp_path / "results" / "rows.json").read_text())[0]
    assert rows["start"]["beyond_accuracy"] == trained["beyond_accuracy"]
    assert rows["round"]["mined"]
    assert not rows["round control"]["mined"]
    assert len(rows["policy all"]["steps"]) == 1
    assert {job for pair in on_policy.COMPARED for job in pair} <= set(rows)
    (tmp_path / "runs" / "on-policy" / "start" / "row.json").unlink()
    for name in ("improve", "go_on"):
        monkeypatch.setattr(on_policy, name, lambda *_args, **_named: pytest.fail("trained again"))
    assert on_policy.on_policy(config, tmp_path / "runs", tmp_path / "results") == made
