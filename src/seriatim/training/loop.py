"""Training, on one page: data → loss → gradients → AdamW → checkpoint, resumable to the bit.

Shapes: B sequences, T tokens, V vocabulary, E experts.
"""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from seriatim.errors import SeriatimError, TrainingError, UsageError
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.losses import load
from seriatim.olmoe.model import Olmoe
from seriatim.progress import Progress
from seriatim.training import checkpoints, parallel
from seriatim.training.config import Recipe, TrainConfig, model_config
from seriatim.training.corpus import corpus
from seriatim.training.data.batches import IGNORED, Data
from seriatim.training.expert_choice import let_experts_choose
from seriatim.training.losses import step_losses
from seriatim.training.memory import keep_freed_memory
from seriatim.training.metrics import Metrics
from seriatim.training.parallel import Processes
from seriatim.training.schedule import learning_rate


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended: the newest checkpoint, its step, and the last losses (held-out: None where none was asked)."""

    checkpoint: Path
    step: int
    loss: float
    validation_loss: float | None


def pretrain(
    config: TrainConfig,
    run: Path,
    *,
    steps: int | None = None,
    expert_parallel: int = 1,
    progress: Progress | None = None,
) -> Trained:
    """Train for the schedule's steps, or until step `steps`, and keep everything in the folder `run`.

    Of several processes (see `parallel`), groups of `expert_parallel` share the experts among them.
    A run that was stopped, even killed, goes on from its newest checkpoint and ends in the same weights, to the bit.
    Raises `TrainingError` where it cannot go on, naming the newest good checkpoint.
    """
    run.mkdir(parents=True, exist_ok=True)
    with parallel.processes() as among:
        shown = progress if among.first else None
        data = corpus(config, run, among, shown)
        return train(config, data, run, among, steps=steps, expert_parallel=expert_parallel, progress=shown)


def train(
    config: Recipe,
    data: Data,
    run: Path,
    among: Processes,
    *,
    steps: int | None = None,
    expert_parallel: int = 1,
    progress: Progress | None = None,
) -> Trained:
    """Train on `data` as `pretrain` does, whatever they are."""
    keep_freed_memory()
    model = _model(config, data)
    if config.model.routing == "expert_choice":
        let_experts_choose(model)
    parallel.shard(model, among, expert_parallel, numbers=_numbers(config))
    optimizer = _optimizer(model, config)
    held = checkpoints.newest(run)
    step = checkpoints.restore(held, model, optimizer) if held else 0
    last = min(steps or config.schedule.steps, config.schedule.steps)
    metrics: Metrics | None = None
    row: dict[str, Any] = {"loss": math.nan}
    clock = _Clock(last, progress)
    try:
        if among.first:
            metrics = Metrics(run, step, tensorboard=config.run.tensorboard, wandb=config.run.wandb)
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
                metrics.write(row | clock.tick(row))
    except UsageError:
        raise
    except (SeriatimError, OSError) as error:
        good = f"the newest good checkpoint is {held}" if held else "no checkpoint was made yet"
        raise TrainingError(f"stopped after step {step}: {error}; {good}") from error
    finally:
        if metrics:
            metrics.close()
    if held is None:
        raise TrainingError(f"there is nothing to train: {last} steps")
    return Trained(held, step, row["loss"], row.get("validation_loss"))


def _step(model: Olmoe, optimizer: AdamW, config: Recipe, data: Data, among: Processes, step: int) -> dict[str, Any]:
    """One step of the optimizer; returns its metrics."""
    rate = learning_rate(config.schedule, step, config.optimizer.learning_rate)
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses: dict[str, float] = {}
    loads: list[Tensor] = []
    batch = data.batch(step)
    ids_BT, labels_BT = (torch.from_numpy(each).long() for each in batch)
    count = max(1, config.run.accumulate // among.count)
    parts = list(zip(ids_BT.chunk(count), labels_BT.chunk(count), strict=True))
    learned = int(among.total((labels_BT != IGNORED).sum()))
    if not learned:
        raise TrainingError(f"nothing in the batch of step {step} is learned from")
    for part_BT, part_labels_BT in parts:
        with _precision(config):
            terms, router_logits = step_losses(model, part_BT, part_labels_BT, config.loss)
        # Every token that is learned from counts alike, in whichever part of the batch, and process, it stands.
        share = int((part_labels_BT != IGNORED).sum()) * len(parts) * among.count / learned
        terms["loss"] = terms["loss"] * share if share else terms["loss"].nan_to_num() * 0
        (sum(terms.values()) / len(parts)).backward()  # type: ignore[union-attr]
        for name, value in terms.items():
            losses[name] = losses.get(name, 0.0) + value.item() / len(parts)
        counts = [load(logits_NE, model.config.num_experts_per_tok) for logits_NE in router_logits]
        loads = [a + b for a, b in zip(loads, counts, strict=True)] if loads else counts
    losses = {name: among.mean(value) for name, value in losses.items()}
    norm = parallel.clip(model.parameters(), config.optimizer.clip)
    if not math.isfinite(norm) or not all(map(math.isfinite, losses.values())):
        raise TrainingError(f"the loss or its gradient is no number at step {step} (loss {losses['loss']})")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {
        "step": step + 1,
        "learning_rate": rate,
        "tokens": ids_BT.numel() * among.count,
        "learned_tokens": learned,
        **losses,
        "gradient_norm": norm,
        **_loads([among.total(counts_E) for counts_E in loads]),
    }


@torch.no_grad()
def validation_loss(model: Olmoe, data: Data, config: Recipe) -> float:
    """The mean cross-entropy of a token of the held-out documents."""
    total, tokens = 0.0, 0
    for batch in data.held_out:
        ids_BT, labels_BT = (torch.from_numpy(each).long() for each in batch)
        with _precision(config):
            mean, _ = model.cross_entropy(ids_BT, labels_BT)
        if learned := int((labels_BT != IGNORED).sum()):
            total += mean.item() * learned
            tokens += learned
    parallel.let_go(model)
    if not tokens:
        raise TrainingError("no document is held out; set data.validation, or run.validate_every to 0")
    return total / tokens


def _model(config: Recipe, data: Data) -> Olmoe:
    torch.manual_seed(config.run.seed)
    if config.model.start:
        start = config.folder / config.model.start
        model = Olmoe(OlmoeConfig.from_file(start / "config.json"))
        checkpoints.load_weights(model, start)
        return model
    return Olmoe(model_config(config.model, data.sequence_length, data.vocabulary, data.eos_id, data.pad_id))


def _optimizer(model: Olmoe, config: Recipe) -> AdamW:
    """AdamW over everything alike: norms and embeddings decay too, as OLMoE's do."""
    settings = config.optimizer
    groups = [{"params": same} for same in parallel.alike(model.parameters())]
    betas = (settings.beta1, settings.beta2)
    return AdamW(
        groups, lr=settings.learning_rate, betas=betas, eps=settings.eps, weight_decay=settings.weight_decay, fused=True
    )


def _precision(config: Recipe) -> AbstractContextManager[Any]:
    """bfloat16 where it is asked for, or the hardware has it; the weights stay in float32."""
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    numbers = _numbers(config)
    return torch.autocast(kind, numbers) if numbers else nullcontext()


def _numbers(config: Recipe) -> torch.dtype | None:
    """What products are computed in, where that is not float32."""
    wanted = config.run.precision
    if wanted == "auto":
        wanted = "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else None


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

    def tick(self, row: dict[str, Any]) -> dict[str, float]:
        now = time.perf_counter()
        rate = row["tokens"] / (now - self._before)
        self._before = now
        if self._progress:
            told = f"loss {row['loss']:.3f}, {rate:,.0f} tokens/s, fullest expert {row['load_max']:.1f}x"
            self._progress(told, row["step"], self._last)
        return {"tokens_per_s": rate}
