"""OLMoE with int8 weights and activations, behind the same interface as the float32 model.

Weights have one scale an output channel, activations one a row; sums are exact. Keys and values are kept in half
precision; norms, router, softmax and what passes between blocks stay in float32.

Shapes: B sequences, T tokens, N = B·T, D hidden size, W width of all keys, K experts a token.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from seriatim.olmoe.attention import rotary
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.int8.weights import PANEL, Ends, Layer, Quantised
from seriatim.olmoe.interface import OlmoeModel

W = TypeVar("W")


class Operations(Protocol[W]):
    """The steps of a block, see `kernels.Kernels` and `portable.Portable`."""

    def weight(self, quantised: Quantised) -> W: ...
    def norm(self, x: Tensor, weight: Tensor, eps: float, y: Tensor) -> None: ...
    def linear(self, x: Tensor, weight: W, y: Tensor, *, add: bool = False) -> None: ...
    def rotate_and_store(
        self,
        qkv: Tensor,
        q_norm: Tensor,
        k_norm: Tensor,
        eps: float,
        clip: float | None,
        rotation: tuple[Tensor, Tensor],
        cache: KVCache,
        layer: int,
    ) -> None: ...
    def attend(self, qkv: Tensor, cache: KVCache, layer: int, y: Tensor) -> None: ...
    def route(self, x: Tensor, weight: Tensor, normalise: bool, indices: Tensor, weights: Tensor) -> None: ...
    def experts(self, x: Tensor, indices: Tensor, weights: Tensor, gate_up: W, down: W, y: Tensor) -> None: ...


@dataclass(frozen=True, slots=True)
class _Room:
    """What N tokens need between the steps; kept while the number of tokens stays, so that no step allocates."""

    normed: Tensor
    qkv: Tensor
    attended: Tensor
    indices: Tensor
    weights: Tensor

    @classmethod
    def of(cls, tokens: int, config: OlmoeConfig) -> "_Room":
        size, chosen = config.hidden_size, config.num_experts_per_tok
        return cls(
            normed=torch.empty(tokens, size),
            qkv=torch.empty(tokens, size + 2 * config.key_value_size),
            attended=torch.empty(tokens, size),
            indices=torch.empty(tokens, chosen, dtype=torch.int64),
            weights=torch.empty(tokens, chosen),
        )


class Int8Olmoe(OlmoeModel):
    """An OLMoE model whose matrices are bytes; `operations` do the work. It reads for one caller at a time."""

    def __init__(
        self,
        config: OlmoeConfig,
        ends: Ends[Quantised],
        layers: list[Layer[Quantised]],
        operations: Operations[Any],
    ) -> None:
        self.config = config
        self._operations = operations
        self._ends: Ends[Any] = replace(ends, head=operations.weight(ends.head))
        self._layers: list[Layer[Any]] = []
        while layers:  # one at a time, so that a layer in both forms is the most that memory holds
            layer = layers.pop(0)
            forms = {name: operations.weight(getattr(layer, name)) for name in ("qkv", "output", "gate_up", "down")}
            self._layers.append(replace(layer, **forms))
        cos, sin = rotary(torch.arange(config.max_position_embeddings)[None], config.head_dim, config.rope_theta)
        half = config.head_dim // 2
        self._rotation = (cos[0, 0, :, :half].contiguous(), sin[0, 0, :, :half].contiguous())
        self._room = _Room.of(1, config)

    def new_cache(self, batch: int, capacity: int, *, padding: Tensor | None = None) -> KVCache:
        return KVCache.empty(self.config, batch, capacity, padding=padding, dtype=torch.float16)

    def hidden(self, token_ids_BT: Tensor, cache: KVCache) -> Tensor:
        sequences, tokens = token_ids_BT.shape
        cache.check_room(tokens)
        x = self._ends.embedding[token_ids_BT.flatten()].float()
        if self._room.normed.shape[0] != x.shape[0]:
            self._room = _Room.of(x.shape[0], self.config)
        for number, layer in enumerate(self._layers):
            self._attention(x, layer, cache, number)
            self._mixture(x, layer)
        cache.length += tokens
        y = torch.empty_like(x)
        self._operations.norm(x, self._ends.norm, self.config.rms_norm_eps, y)
        return y.view(sequences, tokens, -1)

    def head(self, hidden: Tensor) -> Tensor:
        rows = hidden.reshape(-1, hidden.shape[-1]).contiguous()
        logits = torch.empty(rows.shape[0], -(-self.config.vocab_size // PANEL) * PANEL)
        self._operations.linear(rows, self._ends.head, logits)
        return logits[:, : self.config.vocab_size].view(*hidden.shape[:-1], -1)

    def _attention(self, x: Tensor, layer: Layer[Any], cache: KVCache, number: int) -> None:
        """`x` += attention(norm(`x`))"""
        operations, room, eps = self._operations, self._room, self.config.rms_norm_eps
        operations.norm(x, layer.input_norm, eps, room.normed)
        operations.linear(room.normed, layer.qkv, room.qkv)
        operations.rotate_and_store(
            room.qkv, layer.q_norm, layer.k_norm, eps, self.config.clip_qkv, self._rotation, cache, number
        )
        operations.attend(room.qkv, cache, number, room.attended)
        operations.linear(room.attended, layer.output, x, add=True)

    def _mixture(self, x: Tensor, layer: Layer[Any]) -> None:
        """`x` += experts(norm(`x`))"""
        operations, room = self._operations, self._room
        operations.norm(x, layer.post_norm, self.config.rms_norm_eps, room.normed)
        operations.route(room.normed, layer.router, self.config.norm_topk_prob, room.indices, room.weights)
        operations.experts(room.normed, room.indices, room.weights, layer.gate_up, layer.down, x)
