"""Dropless experts: every token is computed by every expert that it was routed to, whatever the load.

Shapes: N tokens, K experts a token, A = N·K assignments, E experts, D hidden size, F expert width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seriatim.olmoe.config import OlmoeConfig
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
        tokens_A = order_A // experts_per_token
        weights_A = routing.weights_NK.flatten()[order_A]
        hit, counts = experts_A.unique_consecutive(return_counts=True)
        inputs_AD = hidden_ND[tokens_A].split(counts.tolist())
        outputs_AD = torch.cat([self._expert(e, group) for e, group in zip(hit.tolist(), inputs_AD, strict=True)])
        return torch.zeros_like(hidden_ND).index_add(0, tokens_A, outputs_AD * weights_A[:, None])

    def _expert(self, expert: int, hidden_ND: Tensor) -> Tensor:
        gate_NF, up_NF = F.linear(hidden_ND, self.gate_up_proj[expert]).chunk(2, dim=-1)
        return F.linear(F.silu(gate_NF) * up_NF, self.down_proj[expert])
