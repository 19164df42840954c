"""Checkpoints by themselves; that runs go on from them is tested in test_loop and test_parallel."""

import weakref
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.optim import AdamW

from seriatim.olmoe.model import Olmoe
from seriatim.training import checkpoints
from seriatim.training.parallel import Processes
from tests.training.test_expert_choice import config


@dataclass(frozen=True, slots=True)
class Unconnected(Processes):
    """Processes that see nothing of each other."""

    def any(self, true: bool) -> bool:
        return true

    def wait(self) -> None:
        pass


def trained() -> tuple[Olmoe, AdamW]:
    model = Olmoe(config(2, 1))
    optimizer = AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return model, optimizer


def test_the_other_processes_hold_one_whole_tensor_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    most = made = 0

    def whole(tensor: Tensor) -> Tensor:
        nonlocal most, made
        gathered = tensor.detach().clone()
        held.append(1)
        weakref.finalize(gathered, held.pop)
        most, made = max(most, len(held)), made + 1
        return gathered

    model, optimizer = trained()
    monkeypatch.setattr(checkpoints, "whole", whole)
    checkpoints.keep(tmp_path, 5, model, optimizer, Unconnected(1, 2), tokenizer=tmp_path, most=1)
    assert made == 3 * len(list(model.parameters()))
    assert most <= 2  # the next is made while the loop still names the one before


def test_the_newest_is_that_of_the_latest_step_however_many_digits_it_has(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path) is None
    model, optimizer = trained()
    for step in (9_999_998, 9_999_999, 10_000_000):
        checkpoints.keep(tmp_path, step, model, optimizer, Processes(), tokenizer=tmp_path, most=2)
    newest = checkpoints.newest(tmp_path)
    assert newest is not None
    assert checkpoints.step_of(newest) == 10_000_000
    assert (tmp_path / "last").resolve() == newest
    left = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert left == {"step-9999999", "step-10000000"}
