"""Dropless experts: every token is computed by every expert that it was routed to, whatever the load.

Shapes: N tokens, K experts a token, A = N·K assignments, E experts, D hidden size, F expert width.
"""

import torch
from torch import Tensor, nn

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.grouped import grouped_swiglu
from seriatim.olmoe.router import Routing


class Experts(nn.Module):
    """SwiGLU experts, their weights stacked; gate rows stand before up rows in `gate_up_proj`."""

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        experts, size, width = config.num_experts, config.hidden_size, config.intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * width, size))
        self.down_proj = nn.Parameter(torch.empty(experts, size, width))

    def forward(self, hidden_ND: Tensor, routing: Routing) -> Tensor:
        """The weighted sum of each token's experts, [N, D]."""
        experts_per_token = routing.experts_NK.shape[1]
        experts_A, order_A = routing.experts_NK.flatten().sort(stable=True)
        counts_E = experts_A.bincount(minlength=routing.logits_NE.shape[1])
        rows_AD = hidden_ND[order_A // experts_per_token]
        weights_A = routing.weights_NK.flatten()[order_A]
        outputs_AD = self.compute(rows_AD, weights_A, counts_E)
        # Back to the tokens' own order, each token's experts side by side, and summed there.
        place_A = torch.empty_like(order_A).scatter_(0, order_A, torch.arange(len(order_A), device=order_A.device))
        return outputs_AD[place_A].unflatten(0, (-1, experts_per_token)).sum(1)

    def compute(self, rows_AD: Tensor, weights_A: Tensor, counts_E: Tensor) -> Tensor:
        """Each row, weighted, by its expert; rows are sorted by expert, of which each has `counts_E`."""
        return grouped_swiglu(rows_AD, weights_A, self.gate_up_proj, self.down_proj, counts_E)
