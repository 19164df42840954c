"""Several processes that train one model: started by torchrun, weights and optimizer sharded by PyTorch's FSDP2.

    torchrun --nproc-per-node 4 -m -- seriatim train pretrain CONFIG.toml --run DIR [--expert-parallel 2]

With expert parallelism the processes form groups of so many, which share the experts out among them; each expert is
then sharded over the groups, and everything else over all processes.

Each process reads its own stretch of a batch; gradients are averaged. Alone, without torchrun, nothing is sharded, and
all of this does nothing.
"""

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from seriatim.errors import UsageError
from seriatim.olmoe.model import Olmoe
from seriatim.training.expert_parallel import SharedExperts


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among `count`."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def any(self, true: bool) -> bool:
        """Whether it is true in any process."""
        return bool(self.total(torch.tensor(int(true))))

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        return float(self.total(torch.tensor(value, dtype=torch.float64))) / self.count

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.count > 1:
            values = values.to(device())  # NCCL carries what is on a GPU alone
            dist.all_reduce(values)
        return values


def device() -> torch.device:
    """Where this process trains: the GPU of its number on this machine, the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def processes() -> Iterator[Processes]:
    """The processes that torchrun started, connected while the block runs; this one alone without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    if device().type == "cuda":
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if device().type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        # What still holds a group keeps its threads alive; one that runs when the interpreter ends aborts the process.
        gc.collect()
        dist.destroy_process_group()


def shard(model: Olmoe, among: Processes, expert_parallel: int = 1, *, numbers: torch.dtype | None = None) -> None:
    """Share the model's parameters out, and take each process's share to its device, block by block; each is whole
    only while its block is computed, and then in `numbers` where that is given. Gradients are summed in float32.

    Groups of `expert_parallel` processes share the experts among them. Raises `UsageError` where that does not divide
    the processes and the experts.
    """
    experts = model.config.num_experts
    if among.count % expert_parallel or experts % expert_parallel:
        raise UsageError(
            f"--expert-parallel {expert_parallel} must divide the {among.count} processes (torchrun starts several) "
            f"and the {experts} experts"
        )
    if among.count == 1:
        return
    everyone = init_device_mesh(device().type, (among.count,))
    groups = init_device_mesh(
        device().type, (among.count // expert_parallel, expert_parallel), mesh_dim_names=("groups", "experts")
    )
    precision = MixedPrecisionPolicy(param_dtype=numbers, reduce_dtype=torch.float32, cast_forward_inputs=False)
    block: Any
    for block in model.model.layers:
        if expert_parallel > 1:
            block.mlp.experts = SharedExperts(block.mlp.experts, groups["experts"])
            # Experts are cut across their rows: their first dimension is shared out already.
            fully_shard(
                block.mlp.experts, mesh=groups["groups"], shard_placement_fn=lambda _: Shard(1), mp_policy=precision
            )
        fully_shard(block, mesh=everyone, mp_policy=precision)
    fully_shard(model, mesh=everyone, mp_policy=precision)
    register_fsdp_forward_method(model, "cross_entropy")


def clip(parameters: Iterable[Tensor], most: float) -> float:
    """Shrink the gradients to the norm `most` where theirs is larger, 0 for never; returns the norm before, over all
    processes."""
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    norms = [whole(get_total_norm([each.grad for each in same])) for same in alike(parameters)]  # type: ignore[misc]
    norm = torch.stack(norms).square().sum().sqrt()
    for same in alike(parameters) if most else ():
        clip_grads_with_norm_(same, most, norm)
    return float(norm)


def alike(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """Parameters by how they are shared out: PyTorch takes a list of tensors in one go only where that is the same."""
    found: dict[object, list[Tensor]] = {}
    for each in parameters:
        found.setdefault((each.device_mesh if isinstance(each, DTensor) else None), []).append(each)
    return list(found.values())


def let_go(model: Olmoe) -> None:
    """Share out again what a forward pass without a backward one has left whole."""
    if isinstance(model, FSDPModule):
        model.reshard()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be shared out; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_as(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, shared out as `like` is, and where that is."""
    tensor = tensor.to(like.device)
    return distribute_tensor(tensor, like.device_mesh, like.placements) if isinstance(like, DTensor) else tensor
