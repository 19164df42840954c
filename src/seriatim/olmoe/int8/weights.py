"""Int8 weights: one scale for each output channel, laid out as the kernels read them.

Shapes: N output channels, K inputs, E experts, F expert width, D hidden size, V vocabulary.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from seriatim.errors import ModelError
from seriatim.olmoe.config import OlmoeConfig

PANEL = 32
"""Channels of a panel; of an expert's gate and up projections, a panel holds half as many of each."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """A matrix, or a stack of them, of signed bytes: `panels` [..., N/32, K/4, 32, 4] and `scales` [..., N].

    The bytes are stored with 128 added, so that both AVX2 and AVX-512 take them for unsigned (see `kernels.cpp`).
    """

    panels: Tensor
    scales: Tensor


Weight = TypeVar("Weight")
"""A quantised matrix in the form that the operations in use want."""


@dataclass(frozen=True)
class Layer(Generic[Weight]):
    """The weights of one block. Queries, keys and values are one matrix; so are gate and up, see `gate_with_up`."""

    input_norm: Tensor
    qkv: Weight
    q_norm: Tensor
    k_norm: Tensor
    output: Weight
    post_norm: Tensor
    router: Tensor
    gate_up: Weight
    down: Weight


@dataclass(frozen=True)
class Ends(Generic[Weight]):
    """What stands before and after the blocks. `head` may have more channels than the vocabulary, up to a panel."""

    embedding: Tensor
    norm: Tensor
    head: Weight


MATRICES = frozenset({"qkv", "output", "gate_up", "down", "head"})
"""The parts that are quantised."""


def layer_shapes(config: OlmoeConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each part of a `Layer`; of a matrix, channels by inputs."""
    size, width, experts = config.hidden_size, config.key_value_size, config.num_experts
    return {
        "input_norm": (size,),
        "qkv": (size + 2 * width, size),
        "q_norm": (size,),
        "k_norm": (width,),
        "output": (size, size),
        "post_norm": (size,),
        "router": (experts, size),
        "gate_up": (experts, 2 * config.intermediate_size, size),
        "down": (experts, size, config.intermediate_size),
    }


def end_shapes(config: OlmoeConfig) -> dict[str, tuple[int, ...]]:
    """The same for `Ends`."""
    size, channels = config.hidden_size, -(-config.vocab_size // PANEL) * PANEL
    return {"embedding": (config.vocab_size, size), "norm": (size,), "head": (channels, size)}


def panel_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the panels of a matrix, or a stack of them, of `shape`."""
    *stack, channels, inputs = shape
    return (*stack, channels // PANEL, inputs // 4, PANEL, 4)


def quantise(weight: Tensor) -> Quantised:
    """`weight` [..., N, K] rounded to signed bytes; the largest magnitude of each channel becomes 127."""
    weight = weight.float()
    scales = weight.abs().amax(-1) / 127
    values = (weight / scales.clamp(min=torch.finfo(torch.float32).tiny)[..., None]).round()
    return Quantised(_panels((values + 128).to(torch.uint8)), scales)


def values(weight: Quantised) -> Tensor:
    """The signed bytes [..., N, K] of `weight`, in their own order again."""
    blocks, fours = weight.panels.shape[-4:-2]
    whole = weight.panels.transpose(-3, -2).reshape(*weight.panels.shape[:-4], blocks * PANEL, fours * 4)
    return (whole.to(torch.int16) - 128).to(torch.int8)


def gate_with_up(gate_up: Tensor) -> Tensor:
    """[E, 2F, D], gates first, in the order of the panels: 16 gates, then their 16 ups, and so on."""
    experts, _, size = gate_up.shape
    return gate_up.view(experts, 2, -1, PANEL // 2, size).transpose(1, 2).reshape(experts, -1, size)


def padded(weight: Tensor) -> Tensor:
    """`weight` [N, K] with rows of zeros to a whole number of panels."""
    return torch.nn.functional.pad(weight, (0, 0, 0, -weight.shape[0] % PANEL))


def check_sizes(config: OlmoeConfig) -> None:
    """Raises `ModelError` for a model whose sizes do not fill whole panels."""
    for name, size, whole in (
        ("hidden_size", config.hidden_size, PANEL),
        ("intermediate_size", config.intermediate_size, PANEL),
        ("the width of all keys", config.key_value_size, PANEL),
        ("the width of a head", config.head_dim, 8),
    ):
        if size % whole:
            raise ModelError(
                f"int8 needs {name} to be a multiple of {whole}, and this model's is {size}: load it as float32"
            )


def _panels(weight: Tensor) -> Tensor:
    *stack, channels, inputs = weight.shape
    return weight.view(*stack, channels // PANEL, PANEL, inputs // 4, 4).transpose(-3, -2).contiguous()
