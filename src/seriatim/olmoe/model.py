"""OLMoE in float32: the reference, and what is trained.

Pre-norm blocks: `h += attention(norm(h))`, then `h += experts(norm(h))` (arXiv 2409.02060 §2). The parameters have the
names of the published checkpoints, experts stacked as transformers 5 stacks them.

Shapes: B sequences, T tokens, N = B·T, D hidden size, E experts, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seriatim.olmoe.attention import Attention, rotary
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.cross_entropy import cross_entropy
from seriatim.olmoe.experts import Experts, mixed
from seriatim.olmoe.interface import OlmoeModel
from seriatim.olmoe.norm import RMSNorm
from seriatim.olmoe.router import Router


class Output(NamedTuple):
    """What a forward pass gives: logits [B, T, V], and each layer's router logits [N, E], for the auxiliary losses."""

    logits_BTV: Tensor
    router_logits: tuple[Tensor, ...]


class Mixture(nn.Module):
    """A router and its experts."""

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        self.gate = Router(config)
        self.experts = Experts(config)

    def forward(self, hidden_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """The experts' output [B, T, D] and the router's logits [N, E]."""
        hidden_ND = hidden_BTD.flatten(0, 1)
        routing = self.gate(hidden_ND)
        return mixed(self.experts, hidden_ND, routing).view_as(hidden_BTD), routing.logits_NE


class Block(nn.Module):
    """One layer."""

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = Mixture(config)

    def forward(
        self,
        hidden_BTD: Tensor,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        layer: int = 0,
    ) -> tuple[Tensor, Tensor]:
        hidden_BTD = hidden_BTD + self.self_attn(self.input_layernorm(hidden_BTD), rotation, mask, cache, layer)
        mixed_BTD, router_logits_NE = self.mlp(self.post_attention_layernorm(hidden_BTD))
        return hidden_BTD + mixed_BTD, router_logits_NE


class Trunk(nn.Module):
    """All of the model but its head; published names begin with `model.`."""

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Olmoe(nn.Module, OlmoeModel):
    """An OLMoE model of torch modules, with random weights until a checkpoint is loaded into it.

    Weights are drawn from a normal distribution with deviation `initializer_range`, cut at three deviations
    (arXiv 2409.02060, appendix B); `torch.manual_seed` makes them repeatable.
    """

    def __init__(self, config: OlmoeConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                spread = config.initializer_range
                nn.init.trunc_normal_(parameter, std=spread, a=-3 * spread, b=3 * spread)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, token_ids_BT: Tensor) -> Output:
        """Logits and router logits of whole sequences, without a cache: what training needs."""
        positions = torch.arange(token_ids_BT.shape[1], device=token_ids_BT.device)[None]
        hidden_BTD, router_logits = self._blocks(token_ids_BT, positions)
        return Output(self.lm_head(hidden_BTD), router_logits)

    def cross_entropy(self, token_ids_BT: Tensor, labels_BT: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The mean cross-entropy of the labels, negative ones left out, and each layer's router logits, as `forward`'s
        logits give it; but they are never held all at once."""
        positions = torch.arange(token_ids_BT.shape[1], device=token_ids_BT.device)[None]
        hidden_BTD, router_logits = self._blocks(token_ids_BT, positions)
        return cross_entropy(hidden_BTD.flatten(0, 1), self.lm_head.weight, labels_BT.flatten()), router_logits

    def hidden(self, token_ids_BT: Tensor, cache: KVCache) -> Tensor:
        tokens = token_ids_BT.shape[1]
        cache.check_room(tokens)
        hidden_BTD, _ = self._blocks(token_ids_BT, cache.positions(tokens), cache.mask(tokens), cache)
        cache.length += tokens
        return hidden_BTD

    def head(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.lm_head.weight)

    def new_cache(self, batch: int, capacity: int, *, padding: Tensor | None = None) -> KVCache:
        return KVCache.empty(self.config, batch, capacity, padding=padding)

    def _blocks(
        self, token_ids_BT: Tensor, positions: Tensor, mask: Tensor | None = None, cache: KVCache | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        rotation = rotary(positions, self.config.head_dim, self.config.rope_theta)
        hidden_BTD = self.model.embed_tokens(token_ids_BT)
        router_logits = []
        for layer, block in enumerate(self.model.layers):
            hidden_BTD, logits_NE = block(hidden_BTD, rotation, mask, cache, layer)
            router_logits.append(logits_NE)
        return self.model.norm(hidden_BTD), tuple(router_logits)
