"""Tiny OLMoE models with random weights, ours and transformers', for tests."""

from pathlib import Path
from typing import Any

import tokenizers
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


def byte_tokenizer(size: int = 400) -> tokenizers.Tokenizer:
    """A tokenizer of OLMoE's kind that knows but a few words; 0 ends a text, 1 is padding."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size - 3,
        special_tokens=["<|endoftext|>", "<|padding|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = "<|system|> <|user|> <|assistant|> Who signed the lease? The landlord did, on the first of May, 1912."
    tokenizer.train_from_iterator([words] * 20, trainer)
    tokenizer.add_tokens([tokenizers.AddedToken(" " * width, normalized=True) for width in (4, 3, 2)])
    return tokenizer


def checkpoint(folder: Path, *, tokenizer: bool = True, **changes: Any) -> transformers.OlmoeForCausalLM:
    """A tiny model with a tokenizer, saved by transformers in `folder`."""
    model = reference(**{"vocab_size": 400, "eos_token_id": 0, **changes})
    model.save_pretrained(folder)
    if tokenizer:
        byte_tokenizer().save(str(folder / "tokenizer.json"))
    return model
