"""Decode many prompts at once, over the house's cache: greedy or sampled, with symbols that may be banned.

Shapes: B sequences, T tokens, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.generation import left_padded
from seriatim.olmoe.model import Olmoe

CHUNK = 128
"""So many sequences are decoded side by side."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote: the ids without the end of text, and whether that came."""

    ids: tuple[int, ...]
    ended: bool


@torch.inference_mode()
def decode(
    model: Olmoe,
    prompts: Sequence[Sequence[int]],
    *,
    most: int,
    banned: Sequence[int] = (),
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Written]:
    """Continue `prompts` up to the end of text, or by `most` tokens, or as far as the model's context goes.

    At temperature 0 the likeliest token is taken. Prompts of like length are read together.
    """
    random = torch.Generator().manual_seed(seed)
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    written: dict[int, Written] = {}
    for start in range(0, len(order), CHUNK):
        places = order[start : start + CHUNK]
        found = _chunk(model, [prompts[place] for place in places], most, banned, temperature, random)
        written.update(zip(places, found, strict=True))
    return [written[place] for place in range(len(prompts))]


def _chunk(
    model: Olmoe,
    prompts: list[Sequence[int]],
    most: int,
    banned: Sequence[int],
    temperature: float,
    random: torch.Generator,
) -> list[Written]:
    ids_BT, padding_B = left_padded(prompts, model.config.vocab_size)
    most = min(most, model.config.max_position_embeddings - ids_BT.shape[1])
    if most <= 0:
        return [Written((), False) for _ in prompts]
    cache = model.new_cache(len(prompts), ids_BT.shape[1] + most, padding=padding_B)
    logits_BV = model.read(ids_BT, cache)
    rows = list(range(len(prompts)))
    written: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    for number in range(most):
        logits_BV[:, list(banned)] = -torch.inf
        drawn = _drawn(logits_BV, temperature, random).tolist()
        going: list[int] = []
        for place, (row, id) in enumerate(zip(rows, drawn, strict=True)):
            if id == model.config.eos_token_id:
                ended[row] = True
            else:
                written[row].append(id)
                going.append(place)
        if not going or number == most - 1:
            break
        if len(going) < 0.75 * len(rows):  # those that have ended cost as much as the others
            cache = _kept(cache, going)
            rows, drawn = [rows[place] for place in going], [drawn[place] for place in going]
        logits_BV = model.read(torch.tensor(drawn)[:, None], cache)
        for place, row in enumerate(rows):
            if ended[row]:  # keep ending: what it would write now counts no more
                logits_BV[place] = -torch.inf
                logits_BV[place, model.config.eos_token_id] = 0.0
    return [Written(tuple(ids), end) for ids, end in zip(written, ended, strict=True)]


def _drawn(logits_BV: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    if temperature <= 0:
        return logits_BV.argmax(-1)
    return torch.multinomial((logits_BV / temperature).softmax(-1), 1, generator=random)[:, 0]


def _kept(cache: KVCache, rows: list[int]) -> KVCache:
    padding = None if cache.padding is None else cache.padding[rows]
    return KVCache(cache.keys[:, rows].contiguous(), cache.values[:, rows].contiguous(), padding, cache.length)
