"""Tiny OLMoE models with random weights, ours and transformers', for tests."""

from typing import Any

import torch
import transformers

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.model import Olmoe

TINY: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 256,
    "eos_token_id": 95,
    "pad_token_id": 1,
}


def reference(seed: int = 0, **changes: Any) -> transformers.OlmoeForCausalLM:
    """transformers' model of a tiny config; its weights spread so widely that every part of it matters."""
    torch.manual_seed(seed)
    model = transformers.OlmoeForCausalLM(transformers.OlmoeConfig(**{**TINY, **changes})).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.15)
    return model


def ours(theirs: transformers.OlmoeForCausalLM) -> Olmoe:
    """Our model with the same weights."""
    model = Olmoe(OlmoeConfig.from_dict(theirs.config.to_diff_dict()))
    model.load_state_dict(theirs.state_dict())
    return model
