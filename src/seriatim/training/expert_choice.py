"""Expert-choice routing, for studies: each expert picks its tokens (Zhou et al., arXiv 2202.09368).

Loads are even by construction, so no balancing loss is needed; but whether a token is picked depends on the tokens
beside it, later ones too: such a model cannot write text, and its losses flatter it.

Shapes: N tokens, D hidden size, E experts, K experts a token on average, C = N·K/E tokens an expert.
"""

from torch import Tensor

from seriatim.olmoe.model import Mixture, Olmoe


class ExpertChoice(Mixture):
    """A mixture whose experts pick their tokens; the parameters are those of `Mixture`, by the same names."""

    def forward(self, hidden_BTD: Tensor) -> tuple[Tensor, Tensor]:
        hidden_ND = hidden_BTD.flatten(0, 1)
        logits_NE = hidden_ND @ self.gate.weight.t()
        tokens, experts = logits_NE.shape
        share = max(1, tokens * self.gate.experts_per_token // experts)
        weights_EC, tokens_EC = logits_NE.softmax(-1).t().topk(min(share, tokens))
        counts_E = tokens_EC.new_full((experts,), tokens_EC.shape[1])
        tokens_A = tokens_EC.flatten()
        made_AD = self.experts(hidden_ND[tokens_A], weights_EC.flatten(), counts_E)
        return hidden_ND.new_zeros(hidden_ND.shape).index_add(0, tokens_A, made_AD).view_as(hidden_BTD), logits_NE


def let_experts_choose(model: Olmoe) -> None:
    """Change every mixture of `model` to expert choice, in place."""
    for block in model.model.layers:
        block.mlp.__class__ = ExpertChoice
