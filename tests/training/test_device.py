"""Where training puts its tensors, without a GPU: that all of a step is where the model is, on a device that is not the
CPU, and what would be chosen where there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from seriatim.olmoe import experts as olmoe_experts
from seriatim.olmoe import model as olmoe_model
from seriatim.olmoe.model import Olmoe
from seriatim.training import loop, parallel
from seriatim.training.config import LossSettings, ModelSettings, Recipe, ScheduleSettings
from seriatim.training.data.batches import successive
from seriatim.training.losses import step_losses
from seriatim.training.parallel import Processes
from tests.training.test_expert_choice import config as shape


@contextmanager
def elsewhere() -> Iterator[Olmoe]:
    """A model on a device without memory, where an operation between devices is an error."""
    with FakeTensorMode(shape_env=ShapeEnv()):
        with torch.device("meta"):
            model = Olmoe(shape(4, 2))
        yield model


def test_a_steps_tensors_are_where_the_model_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # What depends on values has none there: the experts' products and the head's are tested by themselves.
    def products(rows: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, _counts: Tensor) -> Tensor:
        return rows * weights[:, None] + gate_up.sum() + down.sum()

    def mean(hidden: Tensor, head: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(hidden @ head.t(), labels)

    monkeypatch.setattr(olmoe_experts, "grouped_swiglu", products)
    monkeypatch.setattr(olmoe_model, "cross_entropy", mean)
    batch = successive(np.ones((2, 9), dtype=np.int32))
    with elsewhere() as model:
        ids, labels = (torch.empty(each.shape, dtype=torch.long, device="meta") for each in batch)
        terms, _ = step_losses(model, ids, labels, LossSettings())
        sum(terms.values()).backward()  # type: ignore[union-attr]
        assert {each.grad.device.type for each in model.parameters() if each.grad is not None} == {"meta"}
        assert all(each.grad is not None for each in model.parameters())


@pytest.mark.parametrize(("count", "place"), [(1, "meta"), (2, "cpu")])
def test_no_device_need_hold_a_model_that_processes_share(
    monkeypatch: pytest.MonkeyPatch, count: int, place: str
) -> None:
    """Sharding takes it there block by block; one process takes it there whole."""
    found: list[str] = []
    monkeypatch.setattr(parallel, "device", lambda: torch.device("meta"))
    monkeypatch.setattr(loop, "new_model", lambda *_: Olmoe(shape(4, 2)))
    monkeypatch.setattr(loop, "_optimizer", lambda *_: None)
    monkeypatch.setattr(
        parallel, "shard", lambda model, *_, **__: found.extend({each.device.type for each in model.parameters()})
    )
    recipe = Recipe(model=ModelSettings(), schedule=ScheduleSettings(steps=1))
    loop._begun(recipe, None, Processes(0, count), 1, None)  # type: ignore[arg-type]
    assert found == [place]


def test_a_batch_comes_to_the_model() -> None:
    with torch.device("meta"):
        model = Olmoe(shape(4, 2))
    placed = loop._placed(successive(np.ones((2, 9), dtype=np.int32)), model)
    assert [(each.device.type, each.dtype) for each in placed] == [("meta", torch.long)] * 2


def test_a_process_trains_on_its_own_gpu_and_speaks_by_nccl(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parallel.device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert parallel.device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert parallel.device() == torch.device("cuda", 3)
    done: list[object] = []
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(parallel.dist, "init_process_group", done.append)
    monkeypatch.setattr(parallel.dist, "get_rank", lambda: 3)
    monkeypatch.setattr(parallel.dist, "get_world_size", lambda: 8)
    monkeypatch.setattr(parallel.dist, "destroy_process_group", lambda: None)
    with parallel.processes() as among:
        assert (among.rank, among.count) == (3, 8)
    assert done == [torch.device("cuda", 3), "nccl"]
