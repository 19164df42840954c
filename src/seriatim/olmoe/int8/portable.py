"""The operations of `kernels.Kernels` in PyTorch alone, for machines without a compiler or without AVX2.

Matrix products go to PyTorch's own int8 kernels (FBGEMM or oneDNN). They quantise activations with one scale for all
rows; so rows are brought to the same magnitude before, and back afterwards.
"""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seriatim.olmoe.attention import rotate
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.int8.weights import PANEL, Quantised, values

Packed = list[Any]
"""A matrix, or each of a stack, as PyTorch's int8 kernels want it."""


class Portable:
    """See `Kernels`."""

    def weight(self, quantised: Quantised) -> Packed:
        matrices = values(quantised)
        stack = matrices.view(-1, *matrices.shape[-2:])
        return [_packed(*each) for each in zip(stack, quantised.scales.view(len(stack), -1), strict=True)]

    def norm(self, x: Tensor, weight: Tensor, eps: float, y: Tensor) -> None:
        y.copy_(F.rms_norm(x, x.shape[1:], weight, eps))

    def linear(self, x: Tensor, weight: Packed, y: Tensor, *, add: bool = False) -> None:
        product = _product(x, weight[0])
        y.copy_(y + product if add else product)

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
    ) -> None:
        _, sequences, _, _, head = cache.keys.shape
        q, k, v = qkv.split([q_norm.shape[0], k_norm.shape[0], k_norm.shape[0]], dim=1)
        q.copy_(F.rms_norm(q, q.shape[1:], q_norm, eps))
        k.copy_(F.rms_norm(k, k.shape[1:], k_norm, eps))
        if clip is not None:
            qkv.clamp_(-clip, clip)
        tokens = qkv.shape[0] // sequences
        turn = [part[cache.positions(tokens)][:, :, None].repeat(1, 1, 1, 2) for part in rotation]
        for part in (q, k):
            heads = part.view(sequences, tokens, -1, head)
            heads.copy_(rotate(heads, (turn[0], turn[1])))
        cache.extend(layer, *(part.view(sequences, tokens, -1, head).transpose(1, 2) for part in (k, v)))

    def attend(self, qkv: Tensor, cache: KVCache, layer: int, y: Tensor) -> None:
        _, sequences, groups, _, head = cache.keys.shape
        tokens, size = qkv.shape[0] // sequences, y.shape[1]
        query = qkv[:, :size].reshape(sequences, tokens, size // head, head).transpose(1, 2)
        keys, values = (kept[layer, :, :, : cache.length + tokens].float() for kept in (cache.keys, cache.values))
        attended = F.scaled_dot_product_attention(
            query, keys, values, attn_mask=cache.mask(tokens), enable_gqa=groups * head != size
        )
        y.copy_(attended.transpose(1, 2).reshape(y.shape))

    def route(self, x: Tensor, weight: Tensor, normalise: bool, indices: Tensor, weights: Tensor) -> None:
        best, chosen = F.linear(x, weight).softmax(-1).topk(indices.shape[1])
        weights.copy_(best / best.sum(-1, keepdim=True) if normalise else best)
        indices.copy_(chosen)

    def experts(self, x: Tensor, indices: Tensor, weights: Tensor, gate_up: Packed, down: Packed, y: Tensor) -> None:
        for expert in indices.unique().tolist():
            tokens, places = (indices == expert).nonzero(as_tuple=True)
            pairs = _product(x[tokens], gate_up[expert]).unflatten(1, (-1, 2, PANEL // 2))
            gate, up = pairs[:, :, 0].flatten(1), pairs[:, :, 1].flatten(1)
            out = _product(F.silu(gate) * up, down[expert])
            y.index_add_(0, tokens, out * weights[tokens, places, None])


def _packed(matrix: Tensor, scales: Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # PyTorch announces another interface, without int8
        quantised = torch._make_per_channel_quantized_tensor(
            matrix, scales.double().clamp(min=1e-30), torch.zeros_like(scales, dtype=torch.long), 0
        )
        return torch.ops.quantized.linear_prepack(quantised, None)


def _product(x: Tensor, packed: Any) -> Tensor:
    largest = x.abs().amax(-1, keepdim=True).clamp(min=1e-30)
    # Without VNNI, FBGEMM adds pairs of products in 16 bits, which overflow unless activations are reduced to 7 bits.
    return torch.ops.quantized.linear_dynamic(x / largest, packed, True) * largest
