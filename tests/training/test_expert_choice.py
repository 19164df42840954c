"""Expert choice: every expert takes as many tokens, those that it scores highest."""

import torch

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.model import Mixture, Olmoe
from seriatim.training.expert_choice import ExpertChoice, let_experts_choose


def config(experts: int, chosen: int) -> OlmoeConfig:
    return OlmoeConfig(
        vocab_size=32, hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, num_experts=experts, num_experts_per_tok=chosen, max_position_embeddings=16,
    )  # fmt: skip


def test_it_is_the_sum_over_experts_of_the_tokens_that_each_picks() -> None:
    torch.manual_seed(0)
    model = Olmoe(config(4, 2))
    mixture = model.model.layers[0].mlp
    hidden_BTD = torch.randn(1, 6, 16)
    let_experts_choose(model)
    assert isinstance(mixture, ExpertChoice)
    found_BTD, logits_NE = mixture(hidden_BTD)
    expected_ND = torch.zeros(6, 16)
    probabilities_NE = logits_NE.softmax(-1)
    for e in range(4):
        weights_C, tokens_C = probabilities_NE[:, e].topk(3)
        for weight, n in zip(weights_C, tokens_C, strict=True):
            gate, up = (mixture.experts.gate_up_proj[e] @ hidden_BTD[0, n]).chunk(2)
            expected_ND[n] += weight * (mixture.experts.down_proj[e] @ (torch.nn.functional.silu(gate) * up))
    torch.testing.assert_close(found_BTD[0], expected_ND)


def test_with_a_single_expert_both_ways_are_one() -> None:
    torch.manual_seed(0)
    model = Olmoe(config(1, 1))
    ids_BT = torch.randint(32, (2, 8))
    before = model(ids_BT).logits_BTV
    let_experts_choose(model)
    torch.testing.assert_close(model(ids_BT).logits_BTV, before)
    model(ids_BT).logits_BTV.sum().backward()
    assert all(isinstance(block.mlp, Mixture) for block in model.model.layers)
    assert model.model.layers[0].mlp.experts.down_proj.grad is not None
