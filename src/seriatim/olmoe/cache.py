"""Keys and values of the tokens that a model has read, kept apart from the model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seriatim.errors import ModelError
from seriatim.olmoe.config import OlmoeConfig


@dataclass(slots=True)
class KVCache:
    """Room for `capacity` tokens of each sequence in a batch, of which the first `length` are read.

    `keys` and `values` have shape [layers, B, key_value_heads, capacity, head_dim]; keys are rotated already.
    `padding` [B] counts the places at the beginning of each sequence that hold no token, or is None where none do.
    """

    keys: Tensor
    values: Tensor
    padding: Tensor | None = None
    length: int = 0

    @classmethod
    def empty(
        cls,
        config: OlmoeConfig,
        batch: int,
        capacity: int,
        *,
        padding: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> "KVCache":
        """Raises `ModelError` for more tokens than the model was made for."""
        if capacity > config.max_position_embeddings:
            raise ModelError(
                f"{capacity} tokens exceed the model's context of {config.max_position_embeddings}: take fewer"
            )
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, capacity, config.head_dim)
        if padding is not None:
            padding = torch.as_tensor(padding).long().contiguous()
            if padding.shape != (batch,) or bool(((padding < 0) | (padding > capacity)).any()):
                raise ModelError(f"padding must be {batch} numbers from 0 to {capacity}, not {padding.tolist()}")
        return cls(torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype), padding)

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    def check_room(self, tokens: int) -> None:
        """Raises `ModelError` where `tokens` more do not fit."""
        if self.length + tokens > self.capacity:
            raise ModelError(
                f"{self.length} tokens are read, and there is no room for {tokens} more: the context "
                f"holds {self.capacity}"
            )

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write `keys` and `values` [B, G, T, C] of a layer behind what is read; returns all of that layer's.

        `length` stays: the model sets it once, when all layers have written.
        """
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def positions(self, tokens: int) -> Tensor:
        """The place of each of the next `tokens` in its sequence, not counting padding: [B or 1, T]."""
        positions = torch.arange(self.length, self.length + tokens)[None]
        return positions if self.padding is None else (positions - self.padding[:, None]).clamp(min=0)

    def mask(self, tokens: int) -> Tensor | None:
        """Which keys each of the next `tokens` may see, [B or 1, 1, T, length + T], or None where it may see all."""
        if tokens == 1 and self.padding is None:
            return None
        place = torch.arange(self.length + tokens)
        visible = place[None, :] <= place[self.length :, None]
        if self.padding is None:
            return visible[None, None]
        # A padding place sees itself: a row that sees nothing would be no number.
        itself = place[None, :] == place[self.length :, None]
        return ((visible & (place >= self.padding[:, None, None])) | itself)[:, None]

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self.length = min(self.length, length)
