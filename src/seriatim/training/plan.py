"""What a training run would take on other machines: memory a rank, tokens a second, bytes on the wire, days.

A stated model, not a measurement. Compute: 2 operations a weight and token forward, twice that backward, and the
attention's own products, at a share of the machine's peak that differs between dense products and grouped ones, whose
groups are small. Memory traffic: what a step moves besides products (norms, routing, gathering rows for experts and
putting them back, the optimizer). Wire: fully sharded weights are gathered twice and gradients scattered once a step
(Zhao et al., "PyTorch FSDP", arXiv 2304.11277); expert parallelism sends each assignment's row there and back, forward
and backward. What does not hide behind compute is added.
"""

from dataclasses import dataclass

from seriatim.olmoe.config import OlmoeConfig

_FLOAT, _HALF = 4, 2


@dataclass(frozen=True, slots=True)
class Machine:
    """One accelerator and its place in a cluster. Rates are a second; shares are of the peak.

    `dense` and `grouped` are the shares of `flops` that large products and grouped expert products reach; `hidden` is
    the share of the wire's time that hides behind compute.
    """

    name: str
    flops: float
    memory_bytes: float
    memory_bandwidth: float
    wire_bandwidth: float
    dense: float
    grouped: float
    hidden: float


H100 = Machine("H100 SXM, 400 Gb/s a GPU between nodes of 8", 989e12, 80e9, 3.35e12, 50e9, 0.5, 0.3, 0.8)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one rank needs and does. Bytes and seconds are of one step."""

    parameters: int
    active_parameters: int
    state_bytes: float
    activation_bytes: float
    wire_bytes: float
    compute_s: float
    traffic_s: float
    wire_s: float
    tokens_per_s: float

    @property
    def memory_bytes(self) -> float:
        """Weights, gradients, optimizer state and activations of one rank."""
        return self.state_bytes + self.activation_bytes


def plan(
    model: OlmoeConfig, *, tokens: int, sequence: int, ranks: int, experts_ranks: int = 1, machine: Machine = H100
) -> Plan:
    """The plan of a step in which each rank reads `tokens` tokens, in sequences of `sequence`.

    Weights and state are sharded over `ranks`; experts additionally over `experts_ranks`.
    """
    size, layers = model.hidden_size, model.num_hidden_layers
    experts = model.num_experts_per_tok * 3 * size * model.intermediate_size * layers
    dense = model.active_parameters - experts - model.vocab_size * size  # the embedding is looked up, not multiplied
    attention = 2 * layers * sequence * size  # scores and their use, half of them masked
    compute = (
        3
        * tokens
        * (2 * dense / machine.dense + 2 * experts / machine.grouped + 2 * attention / machine.dense)
        / machine.flops
    )
    rows = tokens * size * _HALF
    # Forward and backward: about thirty passes over the hidden states a layer, and six over each assignment's row.
    moved = layers * rows * 3 * (10 + 2 * model.num_experts_per_tok) + 10 * _FLOAT * model.total_parameters / ranks
    wire = 3 * _HALF * model.total_parameters * (ranks - 1) / ranks if ranks > 1 else 0.0
    if experts_ranks > 1:
        wire += 4 * layers * model.num_experts_per_tok * rows * (experts_ranks - 1) / experts_ranks
    traffic_s, wire_s = moved / machine.memory_bandwidth, wire / machine.wire_bandwidth
    seconds = compute + traffic_s + max(0.0, wire_s - machine.hidden * compute)
    return Plan(
        model.total_parameters, model.active_parameters,
        4 * _FLOAT * model.total_parameters / ranks, _activations(model, tokens), wire,
        compute, traffic_s, wire_s, tokens / seconds,
    )  # fmt: skip


def _activations(model: OlmoeConfig, tokens: int) -> float:
    """What a forward pass keeps for the backward one, without recomputation, in half precision; and the logits."""
    size, k = model.hidden_size, model.num_experts_per_tok
    layer = 10 * size + k * (2 * size + 3 * model.intermediate_size) + 2 * model.num_experts
    return tokens * (_HALF * model.num_hidden_layers * layer + (_HALF + _FLOAT) * model.vocab_size)
