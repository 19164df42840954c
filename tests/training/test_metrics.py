"""What is told of a run, and to whom; stand-ins for TensorBoard and for Weights & Biases note what they are told."""

import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seriatim.errors import TrainingError, UsageError
from seriatim.training.metrics import Metrics, read_metrics

ROW = {"step": 1, "loss": 2.5, "load_max_by_layer": [1.0, 2.0]}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """All that is told to either stand-in, in order."""
    told: list[tuple[Any, ...]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            told.append(("writer", folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def close(self) -> None:
            told.append(("closed",))

    class Run:
        def log(self, values: dict[str, float], step: int) -> None:
            told.append((values, step))

        def finish(self) -> None:
            told.append(("finished",))

    def init(**settings: Any) -> Run:
        told.append(("init", settings))
        return Run()

    tensorboard, wandb = ModuleType("torch.utils.tensorboard"), ModuleType("wandb")
    monkeypatch.setattr(tensorboard, "SummaryWriter", SummaryWriter, raising=False)
    monkeypatch.setattr(wandb, "init", init, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", tensorboard)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    return told


def test_rows_after_the_step_that_is_gone_on_from_are_taken_out(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, 0)
    for row in (ROW, {"step": 1, "validation_loss": 2.0}, {"step": 2, "loss": 2.4}):
        metrics.write(row)
    metrics.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')  # a kill came while it was written
    metrics = Metrics(tmp_path, 1)
    metrics.close()
    assert metrics.last == {**ROW, "validation_loss": 2.0}
    assert read_metrics(tmp_path) == [metrics.last]
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n[]\n')
    with pytest.raises(TrainingError, match=r"metrics\.jsonl, line 2 is damaged"):
        read_metrics(tmp_path)


def test_tensorboard_is_told_the_numbers_and_where_a_run_goes_on(told: list[Any], tmp_path: Path) -> None:
    for step in (0, 1):
        metrics = Metrics(tmp_path, step, tensorboard=True)
        metrics.write({**ROW, "step": step + 1})
        metrics.close()
    folder = str(tmp_path / "tensorboard")
    assert told == [
        ("writer", folder, 1), ("step", 1, 1), ("loss", 2.5, 1), ("closed",),
        ("writer", folder, 2), ("step", 2, 2), ("loss", 2.5, 2), ("closed",),
    ]  # fmt: skip


def test_weights_and_biases_is_told_the_numbers(told: list[Any], tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "tiny", 0, wandb="olmoe")
    metrics.write(ROW)
    metrics.close()
    [(_, settings), *others] = told
    assert (settings["project"], settings["name"], settings["resume"]) == ("olmoe", "tiny", "allow")
    assert others == [({"step": 1, "loss": 2.5}, 1), ("finished",)]


def test_a_run_is_one_run_of_weights_and_biases_and_no_other_is(told: list[Any], tmp_path: Path) -> None:
    def drawn(run: Path) -> str:
        Metrics(run, 0, wandb="olmoe").close()
        return [each[1]["id"] for each in told if each[0] == "init"][-1]

    first = drawn(tmp_path / "a" / "tiny")
    assert drawn(tmp_path / "a" / "tiny") == first
    other = drawn(tmp_path / "b" / "tiny")
    shutil.rmtree(tmp_path / "a" / "tiny")
    assert len({first, other, drawn(tmp_path / "a" / "tiny")}) == 3


@pytest.mark.parametrize(
    ("asked", "module"), [({"tensorboard": True}, "torch.utils.tensorboard"), ({"wandb": "x"}, "wandb")]
)
def test_a_package_that_is_missing_is_named(
    asked: dict[str, Any], module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"pip install 'seriatim\[logs\]'"):
        Metrics(tmp_path, 0, **asked)
