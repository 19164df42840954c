"""What a run would take on other machines: memory, tokens a second, bytes on the wire, days.

A model of few terms, each stated. Of one training step on one processor the time is

    products / (share of the peak)  +  bytes of activations / memory bandwidth  +  bytes on the wire / network bandwidth

with nothing overlapped. The share of the peak is the one that explains what OLMoE's paper reports for its dense model
of the same active size on H100 (37,500 tokens/s a GPU); the sparse model's own figure (23,600) is the check: this model
says 27,200, 15 % too many (docs/training.md).

Letters as in `olmoe`: D hidden size, F expert width, E experts, K a token, T tokens a sequence, V vocabulary.
"""

from dataclasses import dataclass

from seriatim.errors import UsageError
from seriatim.olmoe.config import OlmoeConfig
from seriatim.training.config import TrainConfig, parts_each

_ADAMW_BYTES = 16  # float32 weight, gradient and two moments
_PASSES = 3  # forward, and twice as much backward


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One processor of a cluster: products a second at best, and the share of it that a run reaches; bytes a second of
    its memory and, by collective operations, of the network; bytes of its memory; bytes of a number in products."""

    name: str
    peak_flops: float
    share: float
    memory_bandwidth: float
    network_bandwidth: float
    memory_bytes: float
    number_bytes: int


# Data sheets; collectives at what NCCL's own tests reach within a node and, with a network card a GPU, between nodes.
HARDWARE = {
    each.name: each
    for each in (
        Hardware(
            name="h100", peak_flops=989e12, share=0.364, memory_bandwidth=2.7e12, network_bandwidth=370e9,
            memory_bytes=80e9, number_bytes=2,
        ),
        Hardware(
            name="a100", peak_flops=312e12, share=0.45, memory_bandwidth=1.6e12, network_bandwidth=190e9,
            memory_bytes=80e9, number_bytes=2,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes. Bytes and seconds are those of one processor and one step, unless named otherwise."""

    processors: int
    parameters: int
    active_parameters: int
    state_bytes: float
    copies_bytes: float
    activation_bytes: float
    products_s: float
    memory_s: float
    wire_s: float
    wire_bytes: float
    tokens_per_s: float
    days: float

    @property
    def memory_bytes(self) -> float:
        return self.state_bytes + self.copies_bytes + self.activation_bytes


def estimate(
    model: OlmoeConfig, config: TrainConfig, processors: int, hardware: Hardware, expert_parallel: int = 1
) -> Estimate:
    """What training `model` by `config` takes on so many processors. Raises `UsageError` where the batch, or the
    experts, cannot be shared out among them."""
    run = config.run
    parts = parts_each(run.accumulate, processors)
    if run.batch_size % processors:
        raise UsageError(f"run.batch_size = {run.batch_size} sequences cannot be shared out among {processors}")
    if processors % expert_parallel or model.num_experts % expert_parallel:
        raise UsageError(f"{expert_parallel} must divide the {processors} processors and {model.num_experts} experts")
    tokens = run.batch_size // processors * config.data.sequence_length
    parameters, experts = model.total_parameters, _expert_parameters(model)
    products_s = tokens * flops_a_token(model, config.data.sequence_length) / (hardware.peak_flops * hardware.share)
    memory_s = tokens * _traffic_a_token(model, hardware.number_bytes) / hardware.memory_bandwidth
    memory_s += parameters / processors * _ADAMW_BYTES * 2 / hardware.memory_bandwidth
    # Twice gathered, once in float32 reduced, each but for the part that is here; of experts that are shared out each
    # processor has one of so many shares, which only the other groups have parts of.
    gathered = (parameters - experts) * (1 - 1 / processors)
    gathered += experts / expert_parallel * (1 - expert_parallel / processors)
    wire_bytes = parts * gathered * (2 * hardware.number_bytes + 4)
    if expert_parallel > 1:  # there and back, forward and backward
        rows = tokens * model.num_experts_per_tok * model.num_hidden_layers * (1 - 1 / expert_parallel)
        wire_bytes += 4 * rows * model.hidden_size * hardware.number_bytes
    wire_s = wire_bytes / hardware.network_bandwidth if processors > 1 else 0.0
    seconds = products_s + memory_s + wire_s
    return Estimate(
        processors=processors,
        parameters=parameters,
        active_parameters=model.active_parameters,
        state_bytes=parameters / processors * _ADAMW_BYTES,
        copies_bytes=_copied(model, processors, expert_parallel) * hardware.number_bytes,
        activation_bytes=tokens / parts * kept_a_token(model, hardware.number_bytes),
        products_s=products_s,
        memory_s=memory_s,
        wire_s=wire_s,
        wire_bytes=wire_bytes if processors > 1 else 0.0,
        tokens_per_s=tokens / seconds,
        days=config.schedule.steps * seconds / 86_400,
    )


def flops_a_token(model: OlmoeConfig, sequence_length: int) -> float:
    """Floating-point operations that training does a token: two a weight and pass, and causal attention's own."""
    embedding = model.vocab_size * model.hidden_size
    weights = model.active_parameters - (0 if model.tie_word_embeddings else embedding)
    attention = model.num_hidden_layers * 2 * sequence_length * model.hidden_size
    return _PASSES * (2 * weights + attention)


def _expert_parameters(model: OlmoeConfig) -> int:
    return 3 * model.num_hidden_layers * model.num_experts * model.hidden_size * model.intermediate_size


def _copied(model: OlmoeConfig, processors: int, expert_parallel: int) -> float:
    """The most parameters that are whole at once in the type of the products: alone all but the embedding, which is no
    product; of several processors two of what is gathered together, a block, or the embedding and the head."""
    embedding = model.vocab_size * model.hidden_size
    ends = (1 if model.tie_word_embeddings else 2) * embedding
    if processors == 1:
        return model.total_parameters - (0 if model.tie_word_embeddings else embedding)
    experts = _expert_parameters(model)
    rest = model.total_parameters - ends - experts
    return 2 * max(ends, (rest + experts / expert_parallel) / model.num_hidden_layers)


def _traffic_a_token(model: OlmoeConfig, number_bytes: int) -> float:
    """Bytes that pass through memory a token beside the products: norms, rotation and residuals touch about 12 rows of
    D a layer; each assignment is gathered, computed, weighted and brought back; logits, whose gradient is made in the
    forward pass, are read or written ten times in float32 and twice as products have them."""
    d, f, k = model.hidden_size, model.intermediate_size, model.num_experts_per_tok
    layer = 12 * d + k * (2 * d + 6 * f + 2 * d)
    return _PASSES * model.num_hidden_layers * layer * number_bytes + (40 + 2 * number_bytes) * model.vocab_size


def kept_a_token(model: OlmoeConfig, number_bytes: int) -> float:
    """Bytes kept for the backward pass a token, with nothing computed twice; of logits there are none.

    In float32 a layer keeps what its four norms read and the router's numbers; in the type of the products what goes
    into each matrix (into those of attention one by one), keys, queries and values, and of each assignment its row,
    gate and up, and what SwiGLU makes of them in three steps. Behind the layers: what the last norm reads, and the
    gradient of what it gave. Measured by `tests/training/test_plan.py`.
    """
    d, w, f = model.hidden_size, model.key_value_size, model.intermediate_size
    e, k = model.num_experts, model.num_experts_per_tok
    layer = 4 * (3 * d + w) + number_bytes * (6 * d + 2 * w) + number_bytes * k * (d + 5 * f)
    router = (12 + number_bytes) * e + 24 * k
    return model.num_hidden_layers * (layer + router) + (4 + number_bytes) * d
