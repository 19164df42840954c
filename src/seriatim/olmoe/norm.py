"""The normalisation that OLMoE uses throughout.

Its backward is written out, since autograd's own goes over the vectors nearly twice as often.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.Module):
    """Divide by the root of the mean square and multiply by a learned weight, in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, vectors: Tensor) -> Tensor:
        normal: Tensor = _Normalise.apply(vectors.float(), self.weight.float(), self.eps)
        return normal.to(torch.result_type(vectors, self.weight))


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        scale = norm.square_().div_(vectors.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(vectors, weight, scale)
        return (vectors * scale).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # With n = s·x: grad_x = s·(g·w − n·mean(g·w·n)), grad_w = Σ g·n.
        vectors, weight, scale = ctx.saved_tensors
        normal = vectors * scale
        both_ND = (grad * normal).flatten(0, -2)
        mean = torch.mv(both_ND, weight).view_as(scale) / vectors.shape[-1]
        grad_vectors = (grad * weight).addcmul_(normal, mean, value=-1).mul_(scale)
        return grad_vectors, both_ND.sum(0), None
