"""Draw the next token from its logits, in the order that llama.cpp uses: repeats, top-k, top-p, min-p, temperature."""

import torch
from torch import Tensor

from seriatim.sampling import Sampling

# How many of the latest tokens count as repeats; llama.cpp's default.
_PENALTY_WINDOW = 64


def next_token(logits_V: Tensor, recent: list[int], sampling: Sampling, random: torch.Generator) -> int:
    """The next token after `recent`, drawn with `random` unless `sampling` is greedy."""
    logits_V = penalised(logits_V, recent, sampling.repeat_penalty)
    if sampling.temperature <= 0:
        return int(logits_V.argmax())
    probabilities_V = (kept(logits_V, sampling) / sampling.temperature).softmax(-1)
    return int(torch.multinomial(probabilities_V, 1, generator=random))


def penalised(logits_V: Tensor, recent: list[int], penalty: float) -> Tensor:
    """`logits_V` with those of the latest tokens moved down: divided by `penalty` above 0, multiplied below."""
    window = sorted(set(recent[-_PENALTY_WINDOW:]))
    if penalty == 1.0 or not window:
        return logits_V
    logits_V = logits_V.clone()
    repeated = logits_V[window]
    logits_V[window] = torch.where(repeated > 0, repeated / penalty, repeated * penalty)
    return logits_V


def kept(logits_V: Tensor, sampling: Sampling) -> Tensor:
    """`logits_V` with all that top-k, top-p and min-p leave out at minus infinity. The likeliest token always stays."""
    sorted_V, order_V = logits_V.sort(descending=True)
    keep_V = torch.ones_like(sorted_V, dtype=torch.bool)
    if sampling.top_k > 0:
        keep_V[sampling.top_k :] = False
    if sampling.top_p < 1:
        probabilities_V = sorted_V.masked_fill(~keep_V, -torch.inf).softmax(-1)
        keep_V &= probabilities_V.cumsum(-1) - probabilities_V < sampling.top_p
    if sampling.min_p > 0:
        keep_V &= sorted_V >= sorted_V[0] + torch.tensor(sampling.min_p).log()
    keep_V[0] = True
    return logits_V.index_fill(0, order_V[~keep_V], -torch.inf)
