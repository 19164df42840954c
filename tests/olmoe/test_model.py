"""Parity with transformers' OlmoeForCausalLM in float32."""

from typing import Any

import pytest
import torch

from tests.olmoe.tiny import ours, reference

CONFIGS: dict[str, dict[str, Any]] = {
    "as published": {},
    "normalised weights": {"norm_topk_prob": True},
    "clipped": {"clip_qkv": 0.5},
    "tied": {"tie_word_embeddings": True},
    "grouped keys": {"num_key_value_heads": 2},
    "other theta": {"rope_theta": 500.0},
    "more experts": {"num_experts": 16, "num_experts_per_tok": 5},
    "one expert a token": {"num_experts": 4, "num_experts_per_tok": 1},
    "all at once": {"norm_topk_prob": True, "clip_qkv": 0.8, "num_key_value_heads": 1, "num_experts_per_tok": 8},
}


@pytest.fixture(params=CONFIGS, name="pair")
def pair_fixture(request):
    theirs = reference(**CONFIGS[request.param])
    return theirs, ours(theirs)


@torch.inference_mode()
def test_logits_are_those_of_transformers(pair):
    theirs, model = pair
    ids = torch.randint(0, 96, (3, 60), generator=torch.Generator().manual_seed(1))
    expected = theirs(ids).logits
    assert (model.logits(ids) - expected).abs().max() < 1e-5
    assert (model(ids).logits_BTV - expected).abs().max() < 1e-5


@torch.inference_mode()
def test_left_padding_changes_nothing(pair):
    theirs, model = pair
    ids = torch.randint(0, 96, (2, 30), generator=torch.Generator().manual_seed(2))
    padding = torch.tensor([0, 11])
    mask = torch.arange(30) >= padding[:, None]
    positions = (torch.arange(30) - padding[:, None]).clamp(min=0)
    expected = theirs(ids, attention_mask=mask.long(), position_ids=positions).logits
    logits = model.logits(ids, padding_B=padding)
    assert (logits - expected)[mask].abs().max() < 1e-5
    assert (logits[1, 11:] - model.logits(ids[1:, 11:])[0]).abs().max() < 1e-5


@torch.inference_mode()
def test_reading_with_a_cache_equals_reading_at_once(pair):
    _, model = pair
    ids = torch.randint(0, 96, (2, 40), generator=torch.Generator().manual_seed(3))
    whole = model.logits(ids)
    cache = model.new_cache(2, 40)
    parts = [model.head(model.hidden(part, cache)) for part in ids.split([17, 1, 1, 20, 1], dim=1)]
    assert (torch.cat(parts, dim=1) - whole).abs().max() < 1e-5


def test_greedy_text_is_that_of_transformers(pair):
    theirs, model = pair
    prompt = torch.randint(2, 95, (1, 12), generator=torch.Generator().manual_seed(4))
    theirs.generation_config.eos_token_id = None
    expected = theirs.generate(prompt, max_new_tokens=64, do_sample=False)[0, 12:].tolist()
    [generated] = model.generate(prompt.tolist(), max_tokens=64, stop_ids=[])
    assert generated.token_ids == expected
    assert len(expected) == 64


@torch.inference_mode()
def test_reading_in_blocks_equals_reading_at_once(pair, monkeypatch):
    _, model = pair
    ids = torch.randint(0, 96, (1, 50), generator=torch.Generator().manual_seed(5))
    whole = model.logits(ids)
    monkeypatch.setattr("seriatim.olmoe.interface.PREFILL_BLOCK", 16)
    assert (model.logits(ids) - whole).abs().max() < 1e-5
    assert (model.read(ids, model.new_cache(1, 50)) - whole[:, -1]).abs().max() < 1e-5


def test_router_logits_are_those_of_transformers(pair):
    theirs, model = pair
    ids = torch.randint(0, 96, (2, 20), generator=torch.Generator().manual_seed(6))
    expected = theirs(ids, output_router_logits=True).router_logits
    for layer, logits in zip(expected, model(ids).router_logits, strict=True):
        assert (layer - logits).abs().max() < 1e-5


def test_gradients_are_those_of_transformers(pair):
    theirs, model = pair
    ids = torch.randint(0, 96, (2, 20), generator=torch.Generator().manual_seed(7))
    theirs(ids).logits.square().mean().backward()
    model(ids).logits_BTV.square().mean().backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, expected[name].grad, atol=1e-5, rtol=1e-3), name
