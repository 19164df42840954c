"""How fast a model reads a prompt and writes an answer on this machine."""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import TYPE_CHECKING

from seriatim.errors import ModelError, UsageError
from seriatim.models.generator import Generator, Message
from seriatim.models.olmoe import start_torch
from seriatim.olmoe.config import OLMOE_1B_7B, OlmoeConfig

if TYPE_CHECKING:
    from seriatim.olmoe.interface import OlmoeModel
    from seriatim.olmoe.loading import Dtype

RANDOM = {
    "olmoe-1b-7b": OLMOE_1B_7B,
    "tiny": OlmoeConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        num_experts=8,
        num_experts_per_tok=2,
        max_position_embeddings=4096,
        eos_token_id=0,
    ),
}
"""The models that can be made up with random weights, which change nothing in the speed."""

_WARM_UP = 256


@dataclass(frozen=True, slots=True)
class Work:
    """Read `prompt` tokens and write `generate`, `repeat` times."""

    prompt: int
    generate: int
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class _Run:
    prompt: int
    generate: int
    prefill_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of `repeat` runs: tokens a second of reading and of writing.

    `prompt` and `generate` are the tokens of one run; a GGUF model's are those that llama.cpp counted. `load_s` counts
    what makes the model ready, `peak_rss_bytes` is the most memory that the process has held.
    """

    model: str
    dtype: str
    prompt: int
    generate: int
    repeat: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    load_s: float
    peak_rss_bytes: int


def measure_olmoe(name: str, opened: "Callable[[], OlmoeModel]", dtype: "Dtype", work: Work) -> Measured:
    """Measure the model that `opened` gives, over random tokens.

    Raises `ModelError` where prompt and answer do not fit into its context.
    """
    began = time.perf_counter()
    model = opened()
    load_s = time.perf_counter() - began
    room = model.config.max_position_embeddings
    if work.prompt + work.generate > room:
        raise ModelError(f"{name} holds {room:,} tokens: ask for fewer than {work.prompt:,} + {work.generate:,}")
    _run(model, min(work.prompt, _WARM_UP), 2)  # what is mapped is read from the disk the first time
    runs = [_run(model, work.prompt, work.generate) for _ in range(work.repeat)]
    return _measured(name, dtype, runs, load_s)


def measure_generator(name: str, opened: Callable[[], Generator], dtype: str, work: Work) -> Measured:
    """Measure a model that counts its own time, over a text of about `prompt` tokens."""
    began = time.perf_counter()
    generator = opened()
    load_s = time.perf_counter() - began
    try:
        runs = [_asked(generator, run, work) for run in range(work.repeat)]
    finally:
        generator.close()
    return _measured(name, dtype, runs, load_s)


def random_model(name: str, dtype: "Dtype") -> "OlmoeModel":
    """A model of `RANDOM` with random weights. Raises `ModelError` where the machine has no room for it."""
    if name not in RANDOM:
        raise UsageError(f"no random model is named {name!r}: take one of {', '.join(RANDOM)}")
    start_torch()
    from seriatim.olmoe.loading import check_memory, without_kernels

    config = RANDOM[name]
    check_memory(name, config, dtype)
    if dtype == "int8":
        from seriatim.olmoe import int8

        without_kernels()
        return int8.random_model(config)
    import torch

    from seriatim.olmoe.model import Olmoe

    torch.manual_seed(0)
    return Olmoe(config)


def _run(model: "OlmoeModel", prompt: int, generate: int) -> _Run:
    """Read random tokens, then write the likeliest, whatever they are."""
    import torch

    random = torch.Generator().manual_seed(0)
    token_ids_BT = torch.randint(model.config.vocab_size, (1, prompt), generator=random)
    cache = model.new_cache(1, prompt + generate)
    began = time.perf_counter()
    logits_BV = model.read(token_ids_BT, cache)
    read = time.perf_counter()
    for _ in range(generate):
        logits_BV = model.read(logits_BV.argmax(-1, keepdim=True), cache)
    return _Run(prompt, generate, read - began, time.perf_counter() - read)


def _asked(generator: Generator, run: int, work: Work) -> _Run:
    """A run over a text that differs from its beginning on, so that little of it is cached."""
    text = f"Run {run}: go on counting."
    for number in count():
        if number % 20 == 0 and generator.count_tokens(text) >= work.prompt:
            break
        text += f" {number}"
    *_, last = generator.stream([Message("user", text)], max_tokens=work.generate)
    if last.usage is None or not last.usage.prefill_s or not last.usage.decode_s:
        raise ModelError(f"{generator.name} does not tell how long it takes")
    usage = last.usage
    return _Run(usage.prompt_tokens - usage.cached_tokens, usage.completion_tokens, usage.prefill_s, usage.decode_s)


def _measured(name: str, dtype: str, runs: list[_Run], load_s: float) -> Measured:
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measured(
        model=name,
        dtype=dtype,
        prompt=runs[0].prompt,
        generate=runs[0].generate,
        repeat=len(runs),
        prefill_tokens_per_s=median(run.prompt / run.prefill_s for run in runs),
        decode_tokens_per_s=median(run.generate / run.decode_s for run in runs),
        load_s=load_s,
        peak_rss_bytes=kibibytes if sys.platform == "darwin" else 1024 * kibibytes,
    )
