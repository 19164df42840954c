"""The folder of a tiny OLMoE checkpoint with random weights and a tokenizer of bytes and a few words."""

import json
from pathlib import Path
from typing import Any

import torch

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.saving import save
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer, rebuilt
from tests.olmoe.tiny import TINY

_WORDS = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("a", "n"), ("o", "u"), ("e", "r")]
_SPECIAL = ["<|padding|>", "<|endoftext|>"]


def make_tokenizer() -> Tokenizer:
    """256 bytes, seven merges, then padding and the end of a text."""
    tokens = [*_alphabet(), *("".join(pair) for pair in _WORDS), *_SPECIAL]
    pad, eos = len(tokens) - 2, len(tokens) - 1
    tokenizer = rebuilt(tokens, _WORDS, special=[pad, eos], added=[])
    return Tokenizer(tokenizer, eos_id=eos, pad_id=pad, chat_template=CHAT_TEMPLATE)


def make_checkpoint(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """Write a checkpoint into `folder`; its model never ends by itself, but by `stop` or by its limit."""
    tokenizer = make_tokenizer()
    ends = {"eos_token_id": tokenizer.eos_id, "pad_token_id": tokenizer.pad_id, "vocab_size": tokenizer.size}
    config = OlmoeConfig(**{**TINY, "max_position_embeddings": 4096, **ends, **changes})
    torch.manual_seed(seed)
    model = Olmoe(config)
    with torch.no_grad():
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.15)
        model.lm_head.weight[tokenizer.pad_id :] = 0
    save(model, folder)
    tokenizer.write(folder)
    return folder


def make_config(folder: Path, **config: Any) -> Path:
    """A folder with nothing in it but `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())
