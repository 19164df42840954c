"""Dropless experts: every token is computed by every expert that it was routed to, whatever the load.

Shapes: N tokens, K experts a token, A = N·K assignments, E experts, D hidden size, F expert width.
"""

import torch
from torch import Tensor, nn

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.grouped import combined, dispatched, grouped_swiglu
from seriatim.olmoe.router import Routing


class Experts(nn.Module):
    """SwiGLU experts, their weights stacked; gate rows stand before up rows in `gate_up_proj`."""

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        experts, size, width = config.num_experts, config.hidden_size, config.intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * width, size))
        self.down_proj = nn.Parameter(torch.empty(experts, size, width))

    def forward(self, rows_AD: Tensor, weights_A: Tensor, counts_E: Tensor) -> Tensor:
        """Each row, weighted, by its expert; rows are sorted by expert, of which each has `counts_E`."""
        return grouped_swiglu(rows_AD, weights_A, self.gate_up_proj, self.down_proj, counts_E)


def mixed(experts: Experts, hidden_ND: Tensor, routing: Routing) -> Tensor:
    """The weighted sum of each token's experts, [N, D]."""
    experts_A, order_A = routing.experts_NK.flatten().sort(stable=True)
    counts_E = experts_A.bincount(minlength=routing.logits_NE.shape[1])
    place_A = torch.empty_like(order_A).scatter_(0, order_A, torch.arange(len(order_A), device=order_A.device))
    rows_AD = dispatched(hidden_ND, order_A, place_A)
    outputs_AD = experts(rows_AD, routing.weights_NK.flatten()[order_A], counts_E)
    return combined(outputs_AD, order_A, place_A, len(hidden_ND))
