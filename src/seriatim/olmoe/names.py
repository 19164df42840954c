"""Every tensor of an OLMoE model, and its names: in the module, in published checkpoints, in GGUF files.

The module stacks the experts of a layer, as transformers 5 does; published checkpoints hold each expert's three
matrices apart; GGUF stacks each of the three. One table serves reading and writing of all of them.

Shapes: D hidden size, W key-value width, E experts, F expert width, V vocabulary.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from seriatim.olmoe.config import OlmoeConfig

if TYPE_CHECKING:
    from torch import Tensor


class Part(NamedTuple):
    """A part of a module's tensor that has names of its own: one published tensor, or one for each expert."""

    published: tuple[str, ...]
    gguf: str
    shape: tuple[int, ...]


class Row(NamedTuple):
    """One tensor of the module. Its parts stand behind one another in the last dimension but one."""

    name: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def split(self, tensor: "Tensor") -> "Iterator[tuple[Part, Tensor]]":
        """Each part, and the view of `tensor` (of this row's shape) that is it."""
        if len(self.parts) == 1:
            yield self.parts[0], tensor
        else:
            views = tensor.split([part.shape[-2] for part in self.parts], dim=-2)
            yield from zip(self.parts, views, strict=True)

    def published(self, tensor: "Tensor") -> "Iterator[tuple[str, Tensor]]":
        """Each published name, and the view of `tensor` (of this row's shape) that is it."""
        for part, view in self.split(tensor):
            experts = view.unbind() if view.dim() > 2 else [view]
            yield from zip(part.published, experts, strict=True)


# Name of a layer's tensor in the module and in published checkpoints; in GGUF; its shape.
_LAYER = (
    ("input_layernorm.weight", "attn_norm.weight", "D"),
    ("self_attn.q_proj.weight", "attn_q.weight", "DD"),
    ("self_attn.k_proj.weight", "attn_k.weight", "WD"),
    ("self_attn.v_proj.weight", "attn_v.weight", "WD"),
    ("self_attn.o_proj.weight", "attn_output.weight", "DD"),
    ("self_attn.q_norm.weight", "attn_q_norm.weight", "D"),
    ("self_attn.k_norm.weight", "attn_k_norm.weight", "W"),
    ("post_attention_layernorm.weight", "ffn_norm.weight", "D"),
    ("mlp.gate.weight", "ffn_gate_inp.weight", "ED"),
)
# Name of a layer's experts in the module; of each part: its published name, its GGUF name, its shape.
_EXPERTS = (
    (
        "mlp.experts.gate_up_proj",
        (("gate_proj.weight", "ffn_gate_exps.weight", "EFD"), ("up_proj.weight", "ffn_up_exps.weight", "EFD")),
    ),
    ("mlp.experts.down_proj", (("down_proj.weight", "ffn_down_exps.weight", "EDF"),)),
)


def table(config: OlmoeConfig) -> dict[str, Row]:
    """All rows by the module's name, in the order in which a token meets them.

    A head that is tied to the embedding has no row.
    """
    sizes = {
        "D": config.hidden_size,
        "W": config.key_value_size,
        "E": config.num_experts,
        "F": config.intermediate_size,
        "V": config.vocab_size,
    }

    def single(name: str, gguf: str, letters: str) -> Row:
        shape = tuple(sizes[letter] for letter in letters)
        return Row(name, shape, (Part((name,), gguf, shape),))

    def stacked(layer: int, name: str, parts: tuple[tuple[str, str, str], ...]) -> Row:
        prefix = f"model.layers.{layer}."
        found = [
            Part(
                tuple(f"{prefix}mlp.experts.{expert}.{published}" for expert in range(config.num_experts)),
                f"blk.{layer}.{gguf}",
                tuple(sizes[letter] for letter in letters),
            )
            for published, gguf, letters in parts
        ]
        experts, _, inputs = found[0].shape
        return Row(prefix + name, (experts, sum(part.shape[1] for part in found), inputs), tuple(found))

    rows = [single("model.embed_tokens.weight", "token_embd.weight", "VD")]
    for layer in range(config.num_hidden_layers):
        rows += [single(f"model.layers.{layer}.{name}", f"blk.{layer}.{gguf}", shape) for name, gguf, shape in _LAYER]
        rows += [stacked(layer, name, parts) for name, parts in _EXPERTS]
    rows.append(single("model.norm.weight", "output_norm.weight", "D"))
    if not config.tie_word_embeddings:
        rows.append(single("lm_head.weight", "output.weight", "VD"))
    return {row.name: row for row in rows}
