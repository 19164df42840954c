"""Pretraining, on one page: data → loss → gradients → AdamW → checkpoint, resumable to the bit.

Shapes: B sequences, T tokens, V vocabulary, E experts.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW

from seriatim.errors import SeriatimError, TrainingError
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.losses import load
from seriatim.olmoe.model import Olmoe
from seriatim.training import checkpoints, parallel
from seriatim.training.config import ModelSettings, TrainConfig
from seriatim.training.corpus import Corpus, corpus
from seriatim.training.losses import step_losses
from seriatim.training.metrics import Metrics
from seriatim.training.parallel import Processes
from seriatim.training.schedule import learning_rate

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended: the newest checkpoint, its step, and the last losses (held-out: None where none was asked)."""

    checkpoint: Path
    step: int
    loss: float
    validation_loss: float | None


def pretrain(config: TrainConfig, run: Path, *, steps: int | None = None, progress: Progress | None = None) -> Trained:
    """Train for the schedule's steps, or until step `steps`, and keep everything in the folder `run`.

    A run that was stopped, even killed, goes on from its newest checkpoint and ends in the same weights, to the bit.
    Raises `TrainingError` where it cannot go on, naming the newest good checkpoint.
    """
    run.mkdir(parents=True, exist_ok=True)
    with parallel.processes() as among:
        return _pretrain(config, run, among, steps, progress if among.first else None)


def _pretrain(
    config: TrainConfig, run: Path, among: Processes, steps: int | None, progress: Progress | None
) -> Trained:
    data = corpus(config, run, among, progress)
    model = _model(config, data)
    parallel.shard(model, among)
    optimizer = _optimizer(model, config)
    held = checkpoints.newest(run)
    step = checkpoints.restore(held, model, optimizer) if held else 0
    last = min(steps or config.schedule.steps, config.schedule.steps)
    metrics = Metrics(run, step, tensorboard=config.run.tensorboard, wandb=config.run.wandb) if among.first else None
    row: dict[str, Any] = {"loss": math.nan}
    clock = _Clock(last, progress)
    try:
        while step < last:
            row = _step(model, optimizer, config, data, among, step)
            step += 1
            if config.run.validate_every and (step % config.run.validate_every == 0 or step == last):
                row["validation_loss"] = validation_loss(model, data, config)
            if step % config.run.save_every == 0 or step == last:
                held = checkpoints.keep(
                    run, step, model, optimizer, among, tokenizer=data.tokenizer, most=config.run.keep
                )
            if metrics:
                metrics.write(row | clock.tick(row, config))
    except SeriatimError as error:
        good = f"the newest good checkpoint is {held}" if held else "no checkpoint was made yet"
        raise TrainingError(f"stopped after step {step}: {error}; {good}") from error
    finally:
        if metrics:
            metrics.close()
    if held is None:
        raise TrainingError(f"there is nothing to train: {last} steps")
    return Trained(held, step, row["loss"], row.get("validation_loss"))


def _step(
    model: Olmoe, optimizer: AdamW, config: TrainConfig, data: Corpus, among: Processes, step: int
) -> dict[str, Any]:
    """One step of the optimizer; returns its metrics."""
    rate = learning_rate(config.schedule, step, config.optimizer.learning_rate)
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses: dict[str, float] = {}
    loads: list[Tensor] = []
    batch_BT = torch.from_numpy(data.batches.at(step)).long()
    parts = batch_BT.chunk(max(1, config.run.accumulate // among.count))
    for part_BT in parts:
        with _precision(config):
            terms, router_logits = step_losses(model, part_BT, config.loss)
        (sum(terms.values()) / len(parts)).backward()  # type: ignore[union-attr]
        for name, value in terms.items():
            losses[name] = losses.get(name, 0.0) + value.item() / len(parts)
        counts = [load(logits_NE, model.config.num_experts_per_tok) for logits_NE in router_logits]
        loads = [a + b for a, b in zip(loads, counts, strict=True)] if loads else counts
    losses = {name: among.mean(value) for name, value in losses.items()}
    norm = parallel.whole(torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip)).item()
    if not math.isfinite(norm) or not all(map(math.isfinite, losses.values())):
        raise TrainingError(f"the loss or its gradient is no number at step {step} (loss {losses['loss']})")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {
        "step": step + 1,
        "learning_rate": rate,
        **losses,
        "gradient_norm": norm,
        **_loads([among.total(counts_E) for counts_E in loads]),
    }


@torch.no_grad()
def validation_loss(model: Olmoe, data: Corpus, config: TrainConfig) -> float:
    """The mean cross-entropy of a token of the held-out documents."""
    total, tokens = 0.0, 0
    for batch in data.held_out:
        batch_BT = torch.from_numpy(batch).long()
        with _precision(config):
            logits_BTV = model(batch_BT[:, :-1]).logits_BTV
        targets = batch_BT[:, 1:].flatten()
        total += F.cross_entropy(logits_BTV.flatten(0, 1).float(), targets, reduction="sum").item()
        tokens += targets.numel()
    parallel.let_go(model)
    if not tokens:
        raise TrainingError("no document is held out; set data.validation, or run.validate_every to 0")
    return total / tokens


def _model(config: TrainConfig, data: Corpus) -> Olmoe:
    torch.manual_seed(config.run.seed)
    if config.model.start:
        start = config.folder / config.model.start
        model = Olmoe(OlmoeConfig.from_file(start / "config.json"))
        checkpoints.load_weights(model, start)
        return model
    return Olmoe(shape(config.model, config.data.sequence_length, data.vocabulary, data.eos_id, data.pad_id))


def shape(
    settings: ModelSettings, sequence_length: int, vocabulary: int, eos_id: int, pad_id: int | None
) -> OlmoeConfig:
    """The model's config; what the settings leave open comes from the data."""
    return OlmoeConfig(
        vocab_size=settings.vocab_size or vocabulary,
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_attention_heads=settings.num_attention_heads,
        num_key_value_heads=settings.num_key_value_heads or settings.num_attention_heads,
        num_experts=settings.num_experts,
        num_experts_per_tok=settings.num_experts_per_tok,
        max_position_embeddings=sequence_length,
        rms_norm_eps=settings.rms_norm_eps,
        rope_theta=settings.rope_theta,
        norm_topk_prob=settings.norm_topk_prob,
        clip_qkv=settings.clip_qkv or None,
        tie_word_embeddings=settings.tie_word_embeddings,
        initializer_range=settings.initializer_range,
        eos_token_id=eos_id,
        pad_token_id=pad_id,
    )


def _optimizer(model: Olmoe, config: TrainConfig) -> AdamW:
    """AdamW over everything alike: norms and embeddings decay too, as OLMoE's do."""
    settings = config.optimizer
    return AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), eps=settings.eps,
        weight_decay=settings.weight_decay, fused=True,
    )  # fmt: skip


def _precision(config: TrainConfig) -> AbstractContextManager[Any]:
    """bfloat16 where it is asked for, or the hardware has it; the weights stay in float32."""
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    wanted = config.run.precision
    if wanted == "auto":
        wanted = "bfloat16" if kind == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return torch.autocast(kind, torch.bfloat16) if wanted == "bfloat16" else nullcontext()


def _loads(loads_E: list[Tensor]) -> dict[str, Any]:
    """How the experts are loaded: of each layer the fullest expert's load, as a multiple of the even one, and how many
    got nothing."""
    shares = [counts_E.float() / counts_E.sum() for counts_E in loads_E]
    return {
        "load_max": max(float(share_E.max()) * len(share_E) for share_E in shares),
        "load_max_by_layer": [round(float(share_E.max()) * len(share_E), 4) for share_E in shares],
        "idle_experts": sum(int((share_E == 0).sum()) for share_E in shares),
    }


class _Clock:
    """Tokens a second, and the line that progress shows."""

    def __init__(self, last: int, progress: Progress | None) -> None:
        self._last, self._progress = last, progress
        self._before = time.perf_counter()

    def tick(self, row: dict[str, Any], config: TrainConfig) -> dict[str, float]:
        now = time.perf_counter()
        rate = config.run.batch_size * config.data.sequence_length / (now - self._before)
        self._before = now
        if self._progress:
            told = f"loss {row['loss']:.3f}, {rate:,.0f} tokens/s, fullest expert {row['load_max']:.1f}x"
            self._progress(told, row["step"], self._last)
        return {"tokens_per_s": rate}
