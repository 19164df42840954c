"""What every OLMoE model offers, whatever form its weights are in.

Shapes: B sequences, T tokens, D hidden size, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.generation import Generated, Token, check_ids, generate, stream_one
from seriatim.sampling import GREEDY, Sampling

# A prompt is read in blocks of as many tokens: enough rows for each expert, while what is computed in between is small.
PREFILL_BLOCK = 1024


class OlmoeModel(ABC):
    """A model that reads tokens into a cache. Implementations: `model.Olmoe` (float32), `int8.Int8Olmoe`."""

    config: OlmoeConfig

    @abstractmethod
    def hidden(self, token_ids_BT: Tensor, cache: KVCache) -> Tensor:
        """Read tokens behind what `cache` holds; returns their last hidden states [B, T, D], normalised."""

    @abstractmethod
    def head(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., D]."""

    @abstractmethod
    def new_cache(self, batch: int, capacity: int, *, padding: Tensor | None = None) -> KVCache:
        """An empty cache in the form that this model reads."""

    @torch.inference_mode()
    def read(self, token_ids_BT: Tensor, cache: KVCache) -> Tensor:
        """Read tokens behind what `cache` holds, in blocks; returns the logits [B, V] after the last.

        Raises `ModelError` where `cache` has no room for them.
        """
        cache.check_room(token_ids_BT.shape[1])
        for block_BT in _blocks(token_ids_BT):
            hidden_BTD = self.hidden(block_BT, cache)
        return self.head(hidden_BTD[:, -1])

    @torch.inference_mode()
    def logits(self, token_ids_BT: Tensor, *, padding_B: Tensor | None = None) -> Tensor:
        """Logits [B, T, V] after each token. `padding_B` counts the places before each sequence that hold no token."""
        token_ids_BT = torch.as_tensor(token_ids_BT)
        check_ids(token_ids_BT, self.config.vocab_size)
        cache = self.new_cache(*token_ids_BT.shape, padding=padding_B)
        return torch.cat([self.head(self.hidden(block_BT, cache)) for block_BT in _blocks(token_ids_BT)], dim=1)

    def generate(
        self,
        prompts: Sequence[Sequence[int]] | Tensor,
        *,
        max_tokens: int,
        sampling: Sampling = GREEDY,
        stop_ids: Sequence[int] | None = None,
    ) -> list[Generated]:
        """Continue `prompts`, see `generation.generate`."""
        return generate(self, prompts, max_tokens=max_tokens, sampling=sampling, stop_ids=stop_ids)

    def stream(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        sampling: Sampling = GREEDY,
        stop_ids: Sequence[int] | None = None,
    ) -> Iterator[Token]:
        """Continue one `prompt`, giving each token as it is drawn, see `generation.stream_one`.

        Stop strings are where text is: see `seriatim.models.generator.Generator.stream`.
        """
        return stream_one(self, prompt, max_tokens=max_tokens, sampling=sampling, stop_ids=stop_ids)


def _blocks(token_ids_BT: Tensor) -> tuple[Tensor, ...]:
    """`token_ids_BT` in pieces of at most `PREFILL_BLOCK` tokens in all, one after another."""
    return token_ids_BT.split(max(1, PREFILL_BLOCK // token_ids_BT.shape[0]), dim=1)
