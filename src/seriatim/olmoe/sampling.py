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
    return int(torch.multinomial(probabilities(logits_V, sampling), 1, generator=random))


def probabilities(logits_V: Tensor, sampling: Sampling) -> Tensor:
    """How likely each token is to be drawn, [V], by top-k, top-p, min-p and a temperature above 0."""
    # Differences to the likeliest: where these overflow, by a temperature near 0, they go to minus infinity only.
    scaled_V = (logits_V - logits_V.max()) / max(sampling.temperature, torch.finfo(logits_V.dtype).tiny)
    return scaled_V.masked_fill(~kept(logits_V, sampling), -torch.inf).softmax(-1)


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
    """Which tokens top-k, top-p and min-p leave, as booleans [V]. The likeliest always stays."""
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
    return torch.zeros_like(keep_V).index_put((order_V,), keep_V)
