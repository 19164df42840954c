"""Token-choice routing: each token picks its experts.

Shapes: N tokens, D hidden size, E experts, K experts a token.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seriatim.olmoe.config import OlmoeConfig


class Routing(NamedTuple):
    """Where tokens go: `experts_NK` by index, how much each counts in `weights_NK`, and the `logits_NE` behind it."""

    experts_NK: Tensor
    weights_NK: Tensor
    logits_NE: Tensor


class Router(nn.Module):
    """Softmax over all experts, then the best K of it; their weights are not made to sum to 1 unless the config asks.

    OLMoE, arXiv 2409.02060, equation 1.
    """

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.num_experts, config.hidden_size))
        self.experts_per_token, self.normalise = config.num_experts_per_tok, config.norm_topk_prob

    def forward(self, hidden_ND: Tensor) -> Routing:
        logits_NE = F.linear(hidden_ND, self.weight)
        weights_NK, experts_NK = logits_NE.softmax(-1, dtype=torch.float32).topk(self.experts_per_token)
        if self.normalise:
            weights_NK = weights_NK / weights_NK.sum(-1, keepdim=True)
        return Routing(experts_NK, weights_NK.to(logits_NE.dtype), logits_NE)
