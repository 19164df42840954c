"""The head and its cross-entropy together, some tokens at a time.

The logits of a whole batch are by far the largest tensor of a training step (N·V numbers, several times over with their
softmax and its gradient), and most of its time for a small model with a large vocabulary. Here a few tokens' logits
are made, turned into their gradient in place, and used up: on a CPU while they are in the cache. What is not learned
from is left out.

Shapes: N tokens, D hidden size, V vocabulary, L tokens that are learned from.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_ON_CPU = 1 << 22
"""So many logits are held at a time: 16 MiB in float32, which stay in a processor's cache until they are used up."""
_ON_GPU = 1 << 27
"""512 MiB in float32, more than any cache: a GPU is kept busy by products of thousands of rows (2,668 of OLMoE's 50,304
logits), and each part adds a whole gradient of the head to the sum."""


def cross_entropy(hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor) -> Tensor:
    """The mean cross-entropy of those `labels_N` that are not negative, under the logits `hidden · weightᵀ`; a number
    in float32, not a number where there is nothing to learn from. Under autocast products are computed in its type."""
    kind = hidden_ND.device.type
    numbers = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight_VD.dtype
    with torch.autocast(kind, enabled=False):
        loss: Tensor = _CrossEntropy.apply(
            hidden_ND.to(numbers), weight_VD.to(numbers), labels_N, torch.is_grad_enabled()
        )
    return loss


def _at_a_time(weight_VD: Tensor) -> int:
    """How many tokens' logits are made together."""
    return max(1, (_ON_GPU if weight_VD.is_cuda else _ON_CPU) // len(weight_VD))


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, learning: bool) -> Tensor:
        learned_L = (labels_N >= 0).nonzero()[:, 0]
        total = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        if learning:
            grad_ND, grad_VD = torch.zeros_like(hidden_ND), torch.zeros_like(weight_VD, dtype=torch.float32)
        for rows in learned_L.split(_at_a_time(weight_VD)):
            hidden, labels = hidden_ND[rows], labels_N[rows, None]
            logits = (hidden @ weight_VD.t()).float()
            peaks = logits.amax(1, keepdim=True)
            right = logits.gather(1, labels)
            sums = logits.sub_(peaks).exp_().sum(1, keepdim=True)
            total += (sums.log() + peaks - right).sum()
            if not learning:
                continue
            # The gradient of the logits: the probabilities, less one at the label.
            grad = logits.div_(sums).scatter_add_(1, labels, torch.full_like(sums, -1)).to(hidden.dtype)
            grad_ND[rows] = grad @ weight_VD
            if grad.dtype == grad_VD.dtype:
                grad_VD.addmm_(grad.t(), hidden)
            else:
                grad_VD += grad.t() @ hidden
        count = len(learned_L)
        if learning:
            ctx.save_for_backward(grad_ND.div_(max(1, count)), grad_VD.div_(max(1, count)).to(weight_VD.dtype))
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        grad_ND, grad_VD = ctx.saved_tensors
        return grad_ND * upstream.to(grad_ND.dtype), grad_VD * upstream.to(grad_VD.dtype), None, None
