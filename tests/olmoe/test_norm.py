"""The norm's own backward against autograd's."""

import torch

from seriatim.olmoe.norm import RMSNorm


def test_values_and_gradients_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    norm = RMSNorm(6, 1e-5)
    torch.nn.init.normal_(norm.weight)
    vectors = torch.randn(2, 5, 6, requires_grad=True)
    upstream = torch.randn(2, 5, 6)
    ours = norm(vectors)
    theirs = norm.weight * (vectors * torch.rsqrt(vectors.pow(2).mean(-1, keepdim=True) + 1e-5))
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(each, [vectors, norm.weight], upstream) for each in (ours, theirs)]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_half_precision_is_normalised_in_single() -> None:
    norm = RMSNorm(4, 1e-5).bfloat16()
    vectors = torch.tensor([[1e-4, 2e-4, 300.0, -4.0]], dtype=torch.bfloat16)
    assert norm(vectors).dtype == torch.bfloat16
    wide = vectors.float()
    torch.testing.assert_close(norm(vectors), (wide * torch.rsqrt(wide.pow(2).mean() + 1e-5)).bfloat16())
