"""How a checkpoint uses its experts on texts of several domains: the statistics of `olmoe.routing`, as one value.

Shapes: L layers, N tokens, K experts a token, E experts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seriatim.errors import ModelError, UsageError
from seriatim.olmoe import routing
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.loading import load
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.progress import Progress

LEAST_OCCURRENCES = 8  # of a token id, before its experts tell anything
_SHOWN_TOKENS = 5


@dataclass(frozen=True, slots=True)
class Routed:
    """What the routers of a checkpoint chose on a text: `experts_NK` of each layer; the ids that were read, those that
    the model held most likely next, and those that came, [N] each."""

    experts: tuple[Tensor, ...]
    read_N: Tensor
    predicted_N: Tensor
    next_N: Tensor


def study(
    checkpoint: Path,
    texts: Mapping[str, str],
    *,
    tokens: int = 16_384,
    against: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The routing statistics of a checkpoint (ours or Hugging Face's) on `texts` by domain, at most so many `tokens` of
    each; with the saturation of an earlier checkpoint `against` this one.

    Lists stand by layer, then by expert. Raises `ModelError` for what is no checkpoint of such a model, `UsageError`
    for texts that are too short.
    """
    model, tokenizer = _opened(checkpoint)
    ids = {name: _ids(tokenizer, name, text, tokens) for name, text in texts.items()}
    routed = {name: _routed(model, each, name, progress) for name, each in ids.items()}
    config = model.config
    layers = range(config.num_hidden_layers)
    whole = [torch.cat([each.experts[layer] for each in routed.values()]) for layer in layers]
    found: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "experts": config.num_experts,
        "experts_per_token": config.num_experts_per_tok,
        "tokens": {name: len(each.read_N) for name, each in routed.items()},
        "load": [routing.load(experts_NK, config.num_experts).tolist() for experts_NK in whole],
        "coactivation": [routing.coactivation(experts_NK, config.num_experts).tolist() for experts_NK in whole],
        "domains": list(routed),
        "domain_specialisation": [_domains(routed, layer, config) for layer in layers],
        "vocabulary_specialisation": _vocabulary(routed, config, tokenizer),
    }
    if against is not None:
        found |= {"against": against.name, "saturation": _saturation(against, config, ids, routed)}
    return found


def _opened(checkpoint: Path) -> tuple[Olmoe, Tokenizer]:
    model = load(checkpoint)
    assert isinstance(model, Olmoe)
    return model.eval(), Tokenizer.from_folder(checkpoint)


def _ids(tokenizer: Tokenizer, name: str, text: str, tokens: int) -> list[int]:
    ids = tokenizer.encode(text)[: tokens + 1]
    if len(ids) < 2:
        raise UsageError(f"the text {name} is too short to say anything of routing")
    return ids


@torch.inference_mode()
def _routed(model: Olmoe, ids: list[int], name: str, progress: Progress | None = None) -> Routed:
    """The choices over `ids`, read in stretches of the model's context."""
    length = model.config.max_position_embeddings
    predicted: list[Tensor] = []
    with routing.recorded(model) as chosen:
        for start in range(0, len(ids) - 1, length):
            stretch = torch.tensor([ids[start : min(start + length, len(ids) - 1)]])
            predicted.append(model(stretch).logits_BTV[0].argmax(-1))
            if progress:
                progress(f"reading {name}", min(start + length, len(ids) - 1), len(ids) - 1)
    every = torch.tensor(ids)
    return Routed(tuple(torch.cat(each) for each in chosen), every[:-1], torch.cat(predicted), every[1:])


def _domains(routed: Mapping[str, Routed], layer: int, config: OlmoeConfig) -> list[list[float]]:
    by_domain = [each.experts[layer] for each in routed.values()]
    shares: list[list[float]] = routing.domain_specialisation(by_domain, config.num_experts).tolist()
    return shares


def _vocabulary(routed: Mapping[str, Routed], config: OlmoeConfig, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Of each layer: how far a token decides its likeliest expert, on average over token ids that are read, predicted
    and true; and the tokens that each expert takes most surely."""
    found = []
    for layer in range(config.num_hidden_layers):
        experts_NK = torch.cat([each.experts[layer] for each in routed.values()])
        row: dict[str, Any] = {}
        for name in ("read", "predicted", "next"):
            ids_N = torch.cat([getattr(each, f"{name}_N") for each in routed.values()])
            ids_V, shares_VE = routing.vocabulary_specialisation(
                experts_NK, ids_N, config.num_experts, least=LEAST_OCCURRENCES
            )
            row[name] = float(shares_VE.max(1).values.mean()) if len(ids_V) else None
            if name == "read":
                row["token_ids"] = len(ids_V)
                row["tokens_by_expert"] = [_surest(ids_V, shares_V, tokenizer) for shares_V in shares_VE.T]
        found.append(row)
    return found


def _surest(ids_V: Tensor, shares_V: Tensor, tokenizer: Tokenizer) -> list[list[Any]]:
    best = shares_V.topk(min(_SHOWN_TOKENS, len(ids_V)))
    return [
        [tokenizer.decode([int(ids_V[place])]), round(float(share), 4)]
        for share, place in zip(best.values, best.indices, strict=True)
    ]


def _saturation(
    against: Path, config: OlmoeConfig, ids: Mapping[str, list[int]], routed: Mapping[str, Routed]
) -> list[float]:
    earlier, _ = _opened(against)
    shape = (config.num_hidden_layers, config.num_experts, config.num_experts_per_tok, config.vocab_size)
    other = earlier.config
    if shape != (other.num_hidden_layers, other.num_experts, other.num_experts_per_tok, other.vocab_size):
        raise ModelError(f"{against} is no earlier state of the same model: it has another shape")
    before = {name: _routed(earlier, each, name) for name, each in ids.items()}
    return [
        routing.saturation(
            torch.cat([each.experts[layer] for each in before.values()]),
            torch.cat([each.experts[layer] for each in routed.values()]),
        )
        for layer in range(config.num_hidden_layers)
    ]
