"""Tokens to their experts and back: rows sorted by expert, through each expert's weights, summed by token; each with a
backward of its own.

Autograd over a loop of experts makes a whole zero gradient of the stacked weights for every expert, and a node for
every small product; here each product writes straight into its place. Of rows that were gathered autograd adds the
gradients up one by one; but where they go is a permutation, so its inverse gathers them.

Shapes: N tokens, K experts a token, A = N·K rows (assignments, sorted by expert), E experts, D hidden size, F width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def dispatched(hidden_ND: Tensor, order_A: Tensor, place_A: Tensor) -> Tensor:
    """Each token's row once for each of its experts, sorted by expert: row a is that of assignment `order_A[a]`, which
    stands at `place_A`."""
    made: Tensor = _Dispatch.apply(hidden_ND, order_A, place_A)
    return made


def combined(outputs_AD: Tensor, order_A: Tensor, place_A: Tensor, tokens: int) -> Tensor:
    """The sum of each token's rows, [N, D]: back to the tokens' own order, each token's experts side by side."""
    made: Tensor = _Combine.apply(outputs_AD, order_A, place_A, tokens)
    return made


def grouped_swiglu(
    rows_AD: Tensor, weights_A: Tensor, gate_up_EGD: Tensor, down_EDF: Tensor, counts_E: Tensor
) -> Tensor:
    """`weight · down(silu(gate(row)) · up(row))` of each row by its expert, [A, D].

    The first `counts_E[0]` rows are expert 0's, and so on; gate rows stand before up rows in `gate_up_EGD` (G = 2F).
    """
    if rows_AD.is_cuda:
        numbers = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else rows_AD.dtype
        if numbers == torch.bfloat16:  # PyTorch's grouped product takes nothing else on a GPU
            return _on_gpu(rows_AD.to(numbers), weights_A, gate_up_EGD.to(numbers), down_EDF.to(numbers), counts_E)
    return _Grouped.apply(rows_AD, weights_A, gate_up_EGD, down_EDF, counts_E.tolist())


def _on_gpu(rows_AD: Tensor, weights_A: Tensor, gate_up_EGD: Tensor, down_EDF: Tensor, counts_E: Tensor) -> Tensor:
    """By PyTorch's grouped matrix product, one kernel for all experts."""
    offsets_E = counts_E.cumsum(0, dtype=torch.int32)
    both_AG = F.grouped_mm(rows_AD, gate_up_EGD.transpose(-1, -2), offs=offsets_E)
    gate_AF, up_AF = both_AG.chunk(2, dim=-1)
    hidden_AF = F.silu(gate_AF) * up_AF * weights_A[:, None].to(both_AG.dtype)
    return F.grouped_mm(hidden_AF, down_EDF.transpose(-1, -2), offs=offsets_E)


def _spread(rows_ND: Tensor, order_A: Tensor) -> Tensor:
    return rows_ND.index_select(0, order_A // (len(order_A) // len(rows_ND)))


def _gathered(rows_AD: Tensor, place_A: Tensor, tokens: int) -> Tensor:
    return rows_AD.index_select(0, place_A).view(tokens, len(place_A) // tokens, -1).sum(1)


class _Dispatch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, order_A: Tensor, place_A: Tensor) -> Tensor:
        ctx.save_for_backward(place_A)
        ctx.tokens = len(hidden_ND)
        return _spread(hidden_ND, order_A)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_AD: Tensor) -> tuple[Tensor | None, ...]:
        (place_A,) = ctx.saved_tensors
        return _gathered(grad_AD, place_A, ctx.tokens), None, None


class _Combine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs_AD: Tensor, order_A: Tensor, place_A: Tensor, tokens: int) -> Tensor:
        ctx.save_for_backward(order_A)
        return _gathered(outputs_AD, place_A, tokens)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_ND: Tensor) -> tuple[Tensor | None, ...]:
        (order_A,) = ctx.saved_tensors
        return _spread(grad_ND, order_A), None, None, None


class _Grouped(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows_AD: Tensor, weights_A: Tensor, gate_up_EGD: Tensor, down_EDF: Tensor, counts: list[int]
    ) -> Tensor:
        both_AG = rows_AD.new_empty(rows_AD.shape[0], gate_up_EGD.shape[1])
        for e, span in _spans(counts):
            torch.mm(rows_AD[span], gate_up_EGD[e].t(), out=both_AG[span])
        gate_AF, up_AF = both_AG.chunk(2, dim=-1)
        hidden_AF = F.silu(gate_AF).mul_(up_AF).mul_(weights_A[:, None])
        out_AD = torch.empty_like(rows_AD)
        for e, span in _spans(counts):
            torch.mm(hidden_AF[span], down_EDF[e].t(), out=out_AD[span])
        ctx.save_for_backward(rows_AD, weights_A, gate_up_EGD, down_EDF, both_AG)
        ctx.counts = counts
        return out_AD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_AD: Tensor) -> tuple[Tensor | None, ...]:
        rows_AD, weights_A, gate_up_EGD, down_EDF, both_AG = ctx.saved_tensors
        grad_AD = grad_AD.contiguous()
        gate_AF, up_AF = both_AG.chunk(2, dim=-1)
        silu_AF = F.silu(gate_AF)
        unweighted_AF = silu_AF * up_AF
        hidden_AF = unweighted_AF * weights_A[:, None]
        grad_hidden_AF = torch.empty_like(hidden_AF)
        grad_down_EDF = torch.empty_like(down_EDF)
        for e, span in _spans(ctx.counts, grad_down_EDF):
            torch.mm(grad_AD[span], down_EDF[e], out=grad_hidden_AF[span])
            torch.mm(grad_AD[span].t(), hidden_AF[span], out=grad_down_EDF[e])
        grad_weights_A = (grad_hidden_AF * unweighted_AF).sum(-1)
        grad_hidden_AF.mul_(weights_A[:, None])
        grad_both_AG = torch.empty_like(both_AG)
        grad_gate_AF, grad_up_AF = grad_both_AG.chunk(2, dim=-1)
        torch.mul(grad_hidden_AF, silu_AF, out=grad_up_AF)
        torch.ops.aten.silu_backward.grad_input(grad_hidden_AF.mul_(up_AF), gate_AF, grad_input=grad_gate_AF)
        grad_rows_AD = torch.empty_like(rows_AD)
        grad_gate_up_EGD = torch.empty_like(gate_up_EGD)
        for e, span in _spans(ctx.counts, grad_gate_up_EGD):
            torch.mm(grad_both_AG[span], gate_up_EGD[e], out=grad_rows_AD[span])
            torch.mm(grad_both_AG[span].t(), rows_AD[span], out=grad_gate_up_EGD[e])
        return grad_rows_AD, grad_weights_A, grad_gate_up_EGD, grad_down_EDF, None


def _spans(counts: list[int], gradient: Tensor | None = None) -> list[tuple[int, slice]]:
    """Each expert that has rows, and where they are; of the others the `gradient` is set to 0."""
    spans = []
    start = 0
    for e, count in enumerate(counts):
        if count:
            spans.append((e, slice(start, start + count)))
        elif gradient is not None:
            gradient[e].zero_()
        start += count
    return spans
