"""Let a model continue one or several sequences, a token at a time.

Shapes: B sequences, T tokens, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from seriatim.errors import ModelError, UsageError
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.sampling import next_token
from seriatim.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from seriatim.olmoe.interface import OlmoeModel


@dataclass(frozen=True, slots=True)
class Token:
    """A generated token, and the logarithm of the probability that the model itself gave it."""

    id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote after one prompt; a token that ended it is left out.

    `finish_reason` is "stop" where the model ended by itself, "length" where the limit was met.
    """

    token_ids: list[int]
    logprobs: list[float]
    finish_reason: Literal["stop", "length"]


def stream(
    model: "OlmoeModel", logits_BV: Tensor, cache: KVCache, recent: Sequence[list[int]], sampling: Sampling
) -> Iterator[list[Token]]:
    """Draw a token for each sequence from `logits_BV`, read it, and so on without end.

    `recent` holds the tokens of each sequence so far and grows with it. Each sequence has random numbers of its own,
    seeded with `sampling.seed` and its place in the batch, so that neighbours change nothing.
    Raises `ModelError` when the cache is full.
    """
    randoms = [torch.Generator().manual_seed(sampling.seed + place) for place in range(len(recent))]
    while True:
        ids = [
            next_token(logits_V, past, sampling, random)
            for logits_V, past, random in zip(logits_BV, recent, randoms, strict=True)
        ]
        logprobs = logits_BV[torch.arange(len(ids)), ids] - logits_BV.logsumexp(-1)
        for past, token in zip(recent, ids, strict=True):
            past.append(token)
        yield [Token(token, logprob) for token, logprob in zip(ids, logprobs.tolist(), strict=True)]
        logits_BV = model.read(torch.tensor(ids)[:, None], cache)


def generate(
    model: "OlmoeModel",
    prompts: Sequence[Sequence[int]] | Tensor,
    *,
    max_tokens: int,
    sampling: Sampling = GREEDY,
    stop_ids: Sequence[int] | None = None,
) -> list[Generated]:
    """Continue all `prompts` at once: token ids of any lengths, or a tensor [B, T].

    `stop_ids` defaults to the model's end-of-text token. Raises `ModelError` for an empty prompt, and for one that
    leaves no room for `max_tokens` in the model's context; `UsageError` for `max_tokens` below 0.
    """
    ends = _ends(model, stop_ids)
    written: list[list[Token]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    for tokens in _steps(model, prompts, max_tokens, sampling):
        for place, token in enumerate(tokens):
            ended[place] = ended[place] or token.id in ends
            if not ended[place]:
                written[place].append(token)
        if all(ended):
            break
    return [
        Generated([token.id for token in tokens], [token.logprob for token in tokens], "stop" if end else "length")
        for tokens, end in zip(written, ended, strict=True)
    ]


def stream_one(
    model: "OlmoeModel",
    prompt: Sequence[int],
    *,
    max_tokens: int,
    sampling: Sampling = GREEDY,
    stop_ids: Sequence[int] | None = None,
) -> Iterator[Token]:
    """The tokens that `generate` writes after one prompt, each as it is drawn; fewer than `max_tokens` where it ended.

    The prompt is read when the first is asked for. Raises what `generate` does, and at once.
    """
    ends = _ends(model, stop_ids)
    steps = _steps(model, [prompt], max_tokens, sampling)
    return takewhile(lambda token: token.id not in ends, (token for (token,) in steps))


def _ends(model: "OlmoeModel", stop_ids: Sequence[int] | None) -> set[int]:
    if stop_ids is not None:
        return set(stop_ids)
    return set() if model.config.eos_token_id is None else {model.config.eos_token_id}


def _steps(
    model: "OlmoeModel", prompts: Sequence[Sequence[int]] | Tensor, max_tokens: int, sampling: Sampling
) -> Iterator[list[Token]]:
    """`max_tokens` steps of `stream` behind `prompts`, which are checked now, and read when the first is asked for."""
    if max_tokens < 0:
        raise UsageError(f"max_tokens is {max_tokens}: it must be 0 or more")
    if isinstance(prompts, Tensor):
        prompts = prompts.tolist()
    token_ids_BT, padding_B = left_padded(prompts, model.config.vocab_size)
    cache = model.new_cache(len(prompts), token_ids_BT.shape[1] + max_tokens, padding=padding_B)
    recent = [list(prompt) for prompt in prompts]

    def steps() -> Iterator[list[Token]]:
        yield from stream(model, model.read(token_ids_BT, cache), cache, recent, sampling)

    return islice(steps(), max_tokens)


def left_padded(prompts: Sequence[Sequence[int]], vocab_size: int) -> tuple[Tensor, Tensor | None]:
    """`prompts` as one tensor [B, T], and how many places before each hold no token ([B], or None where none does).

    Raises `ModelError` for an empty prompt and for ids that are not in the vocabulary, `UsageError` for one alone.
    """
    if any(isinstance(prompt, int) for prompt in prompts):
        raise UsageError("prompts is a list of prompts: put the token ids of one into a list of its own")
    if not prompts or any(len(prompt) == 0 for prompt in prompts):
        raise ModelError("a prompt needs at least one token")
    longest = max(len(prompt) for prompt in prompts)
    padding = [longest - len(prompt) for prompt in prompts]
    token_ids_BT = torch.tensor([[0] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)])
    check_ids(token_ids_BT, vocab_size)
    return token_ids_BT, torch.tensor(padding) if any(padding) else None


def check_ids(token_ids: Tensor, vocab_size: int) -> None:
    """Raises `ModelError` where an id is not in the vocabulary."""
    wrong = token_ids[(token_ids < 0) | (token_ids >= vocab_size)]
    if wrong.numel():
        raise ModelError(f"token id {int(wrong[0])} is not in the model's vocabulary of {vocab_size}")
