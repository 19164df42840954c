"""Expert parallelism: each process of a group keeps some of the experts, and rows travel to theirs and back.

The rows of a layer go out sorted by expert, so that each process's share is one stretch of them: one all-to-all takes
them there, another one brings the results back (GShard, arXiv 2006.16668, without its capacity: nothing is dropped).

Shapes: A rows sent, R rows received, D hidden size, E experts, P processes of the group, L = E/P experts kept here.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._functional_collectives import all_to_all_single_autograd
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from seriatim.olmoe.experts import Experts
from seriatim.olmoe.grouped import grouped_swiglu


class SharedExperts(Experts):
    """The experts of one layer, shared out over the processes of `mesh`: each keeps E/P of them whole."""

    def __init__(self, experts: Experts, mesh: DeviceMesh) -> None:
        nn.Module.__init__(self)
        self.group = mesh.get_group()
        for name, weights in experts.named_parameters():
            self.register_parameter(name, nn.Parameter(distribute_tensor(weights.detach(), mesh, [Shard(0)])))

    def forward(self, rows_AD: Tensor, weights_A: Tensor, counts_E: Tensor) -> Tensor:
        processes = dist.get_world_size(self.group)
        counts_PL = counts_E.unflatten(0, (processes, -1))
        there_PL = torch.empty_like(counts_PL)
        dist.all_to_all_single(there_PL, counts_PL.contiguous(), group=self.group)
        sent, received = counts_PL.sum(1).tolist(), there_PL.sum(1).tolist()
        rows_RD = _travel(rows_AD, sent, received, self.group)
        weights_R = _travel(weights_A[:, None], sent, received, self.group)[:, 0]
        # What came stands by process, then by expert; the experts want it by expert.
        local_R = torch.arange(there_PL.shape[1], device=rows_RD.device).repeat(processes)
        order_R = local_R.repeat_interleave(there_PL.flatten()).argsort(stable=True)
        made_RD = grouped_swiglu(
            rows_RD[order_R], weights_R[order_R], _kept(self.gate_up_proj, processes),
            _kept(self.down_proj, processes), there_PL.sum(0),
        )  # fmt: skip
        place_R = torch.empty_like(order_R).scatter_(0, order_R, torch.arange(len(order_R), device=order_R.device))
        return _travel(made_RD[place_R], received, sent, self.group)


def _travel(rows: Tensor, sent: list[int], received: list[int], group: dist.ProcessGroup) -> Tensor:
    """The rows that the processes of `group` send here, in their order; gradients travel back."""
    return all_to_all_single_autograd(rows.contiguous(), received, sent, group)


def _kept(weights: Tensor, processes: int) -> Tensor:
    """This process's experts. Their gradient is that of the mean of all the group's losses, as everywhere else, though
    it comes from the tokens of all of them."""
    kept = weights.to_local() if isinstance(weights, DTensor) else weights
    if kept.requires_grad:
        kept.register_hook(lambda gradient: gradient / processes)
    return kept
