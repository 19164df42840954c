"""The auxiliary losses of a mixture of experts, as pure functions of router logits.

Three forms of the balancing loss are about; they differ in scale and in what they let pass. `BALANCING` has them by
name, `Z` the two scales of the z-loss. All take the router logits of every layer.

Shapes: L layers, N tokens, E experts, K experts a token.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

BalancingForm = Literal["trained", "paper", "transformers"]
ZForm = Literal["trained", "paper"]


def balancing_loss(*, router_logits: Sequence[Tensor], experts_per_token: int, form: BalancingForm) -> Tensor:
    """How unevenly the experts are loaded; a scalar. The gradient flows through the probabilities, not the counts."""
    return BALANCING[form](router_logits=router_logits, experts_per_token=experts_per_token)


def z_loss(*, router_logits: Sequence[Tensor], experts_per_token: int, form: ZForm) -> Tensor:
    """The mean over tokens and layers of the squared logsumexp of the router's logits; a scalar.

    "paper": arXiv 2409.02060, equation 4. "trained": divided by the experts a token as well, as OLMoE's code does.
    """
    squares = torch.stack([logits_NE.float().logsumexp(-1).square().mean() for logits_NE in router_logits])
    return squares.mean() / (experts_per_token if form == "trained" else 1)


def load(logits_NE: Tensor, experts_per_token: int) -> Tensor:
    """How many of a layer's assignments each expert gets, [E]."""
    chosen_NK = logits_NE.detach().topk(experts_per_token).indices
    return chosen_NK.flatten().bincount(minlength=logits_NE.shape[1])


def trained_balancing_loss(*, router_logits: Sequence[Tensor], experts_per_token: int) -> Tensor:
    """As OLMoE was trained (MegaBlocks): E Σ f P in each layer, f summing to 1; the mean of the layers. 1 when even."""
    return torch.stack([_layer(logits_NE, experts_per_token) for logits_NE in router_logits]).mean()


def paper_balancing_loss(*, router_logits: Sequence[Tensor], experts_per_token: int) -> Tensor:
    """arXiv 2409.02060, equation 3: E Σ f P in each layer, f the share of tokens that chose the expert, so that f
    sums to K; the mean of the layers. K when even."""
    trained = trained_balancing_loss(router_logits=router_logits, experts_per_token=experts_per_token)
    return trained * experts_per_token


def transformers_balancing_loss(*, router_logits: Sequence[Tensor], experts_per_token: int) -> Tensor:
    """As transformers computes it: f and P over the tokens of all layers together, then E Σ f P. K when even; layers
    that lean opposite ways cancel out (huggingface/transformers#43688)."""
    pooled = torch.cat(list(router_logits))
    return _layer(pooled, experts_per_token) * experts_per_token


def _layer(logits_NE: Tensor, experts_per_token: int) -> Tensor:
    tokens, experts = logits_NE.shape
    share_E = load(logits_NE, experts_per_token).float() / (tokens * experts_per_token)
    return experts * (share_E * logits_NE.float().softmax(-1).mean(0)).sum()


BALANCING: dict[BalancingForm, Callable[..., Tensor]] = {
    "trained": trained_balancing_loss,
    "paper": paper_balancing_loss,
    "transformers": transformers_balancing_loss,
}
