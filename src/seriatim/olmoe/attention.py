"""OLMoE's attention: queries and keys normalised over their whole width, then rotated, head by head.

Shapes: B sequences, T tokens, D hidden size, H query heads, G key-value heads, C head width, W = G·C, S keys seen.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.norm import RMSNorm


class Attention(nn.Module):
    """Causal self-attention with QK-norm (arXiv 2409.02060 §2) and rotary position embeddings."""

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        self.head_dim, self.clip_qkv = config.head_dim, config.clip_qkv
        size, width = config.hidden_size, config.key_value_size
        self.q_proj = nn.Linear(size, size, bias=False)
        self.k_proj = nn.Linear(size, width, bias=False)
        self.v_proj = nn.Linear(size, width, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)
        self.q_norm = RMSNorm(size, config.rms_norm_eps)
        self.k_norm = RMSNorm(width, config.rms_norm_eps)

    def forward(
        self,
        hidden_BTD: Tensor,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """`rotation` is that of `rotary`. Without a cache, every token sees itself and all before it."""
        q_BTD, k_BTW = self.q_norm(self.q_proj(hidden_BTD)), self.k_norm(self.k_proj(hidden_BTD))
        v_BTW = self.v_proj(hidden_BTD)
        if self.clip_qkv is not None:
            q_BTD, k_BTW, v_BTW = (each.clamp(-self.clip_qkv, self.clip_qkv) for each in (q_BTD, k_BTW, v_BTW))
        q_BHTC, k_BGTC = rotate(self._heads(q_BTD), rotation), rotate(self._heads(k_BTW), rotation)
        k_BGSC, v_BGSC = k_BGTC, self._heads(v_BTW)
        if cache is not None:
            k_BGSC, v_BGSC = cache.extend(layer, k_BGSC, v_BGSC)
        attended_BHTC = F.scaled_dot_product_attention(
            q_BHTC, k_BGSC, v_BGSC, attn_mask=mask, is_causal=cache is None, enable_gqa=True
        )
        return self.o_proj(attended_BHTC.transpose(1, 2).flatten(2))

    def _heads(self, vectors_BTW: Tensor) -> Tensor:
        return vectors_BTW.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


def rotary(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, 1, T, C] of rotary embeddings at `positions` [B, T]; both halves of a head turn alike."""
    places = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device)
    frequencies = 1.0 / theta ** (places / head_dim)
    angles = positions[:, None, :, None].float() * torch.cat((frequencies, frequencies))
    return angles.cos(), angles.sin()


def rotate(vectors: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first half of each head against the second (the "rotate-half" form)."""
    cos, sin = rotation
    turned: Tensor = _Rotate.apply(vectors.to(cos.dtype), cos, sin)
    return turned


class _Rotate(torch.autograd.Function):
    """A rotation's backward is the rotation back; autograd's own would go over the vectors twice as often."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(vectors, cos, sin, forth=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned(grad, cos, sin, forth=-1), None, None


def _turned(vectors: Tensor, cos: Tensor, sin: Tensor, *, forth: int) -> Tensor:
    first, second = vectors.chunk(2, dim=-1)
    turned = vectors * cos
    ahead, behind = turned.chunk(2, dim=-1)
    half = sin[..., : first.shape[-1]]  # both halves turn alike
    ahead.addcmul_(second, half, value=-forth)
    behind.addcmul_(first, half, value=forth)
    return turned
