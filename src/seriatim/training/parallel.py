"""Several processes that train one model: started by torchrun, weights and optimizer sharded by PyTorch's FSDP2.

    torchrun --nproc-per-node 2 -m -- seriatim train pretrain CONFIG.toml --run DIR

Each process reads its own stretch of a batch; gradients are averaged. Alone, without torchrun, nothing is sharded, and
all of this does nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from seriatim.olmoe.model import Olmoe


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

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        return float(self.total(torch.tensor(value, dtype=torch.float64))) / self.count

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values


@contextmanager
def processes() -> Iterator[Processes]:
    """The processes that torchrun started, connected while the block runs; this one alone without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def shard(model: Olmoe, among: Processes) -> None:
    """Share the model's parameters out, block by block; each is whole only while its block is computed."""
    if among.count == 1:
        return
    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (among.count,))
    for block in model.model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def let_go(model: Olmoe) -> None:
    """Share out again what a forward pass without a backward one has left whole."""
    if isinstance(model, FSDPModule):
        model.reshard()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be shared out; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_as(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, shared out as `like` is."""
    return distribute_tensor(tensor, like.device_mesh, like.placements) if isinstance(like, DTensor) else tensor
