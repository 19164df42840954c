"""The grouped product and its backward against autograd over a loop."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seriatim.olmoe.grouped import _on_gpu, combined, dispatched, grouped_swiglu


def by_loop(rows: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, counts: Tensor) -> Tensor:
    outputs = []
    for e, group in enumerate(rows.split(counts.tolist())):
        gate, up = F.linear(group, gate_up[e]).chunk(2, dim=-1)
        outputs.append(F.linear(F.silu(gate) * up, down[e]))
    return torch.cat(outputs) * weights[:, None]


def inputs(counts: list[int], size: int = 6, width: int = 5, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(sum(counts))
    shapes = [(sum(counts), size), (sum(counts),), (len(counts), 2 * width, size), (len(counts), size, width)]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6))
def test_values_and_gradients_are_those_of_a_loop(counts: list[int]) -> None:
    given_, loads = inputs(counts), torch.tensor(counts)
    outputs = [compute(*given_, loads) for compute in (grouped_swiglu, by_loop)]
    torch.testing.assert_close(outputs[0], outputs[1])
    upstream = torch.randn_like(outputs[0])
    gradients = [torch.autograd.grad(output, given_, upstream, allow_unused=True) for output in outputs]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, torch.zeros_like(ours) if theirs is None else theirs)


def test_gradients_are_right_numerically() -> None:
    counts = torch.tensor([2, 0, 3])
    assert torch.autograd.gradcheck(lambda *given_: grouped_swiglu(*given_, counts), inputs([2, 0, 3]))


@pytest.mark.parametrize("counts", [[8, 0, 24], [16, 16]])
def test_the_path_for_gpus_computes_the_same(counts: list[int]) -> None:
    given_, loads = inputs(counts, 16, 8, torch.float32), torch.tensor(counts)
    ours, theirs = _on_gpu(*given_, loads), by_loop(*given_, loads)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    upstream = torch.randn_like(ours)
    gradients = [torch.autograd.grad(each, given_, upstream) for each in (ours, theirs)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_rows_go_to_their_experts_and_back_as_plain_indexing_has_them() -> None:
    torch.manual_seed(0)
    experts_A = torch.stack([torch.randperm(6)[:3] for _ in range(10)]).flatten()
    order_A = experts_A.argsort(stable=True)
    place_A = order_A.argsort()
    hidden_ND = torch.randn(10, 4, dtype=torch.float64, requires_grad=True)
    rows_AD = dispatched(hidden_ND, order_A, place_A)
    assert torch.equal(rows_AD, hidden_ND[order_A // 3])
    back_ND = combined(rows_AD, order_A, place_A, 10)
    torch.testing.assert_close(back_ND, 3 * hidden_ND)
    assert torch.autograd.gradcheck(lambda hidden: dispatched(hidden, order_A, place_A), (hidden_ND,))
    assert torch.autograd.gradcheck(
        lambda rows: combined(rows, order_A, place_A, 10), (rows_AD.detach().requires_grad_(),)
    )
