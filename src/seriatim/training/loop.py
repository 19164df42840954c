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
from seriatim.olmoe.losses import load
from seriatim.olmoe.model import Olmoe
from seriatim.progress import Progress
from seriatim.training import checkpoints, parallel
from seriatim.training.beginning import alone, check_data, check_shape, new_model, settle_recipe
from seriatim.training.config import Recipe, TrainConfig, parts_each
from seriatim.training.corpus import corpus
from seriatim.training.data.batches import IGNORED, Batch, Data
from seriatim.training.expert_choice import let_experts_choose
from seriatim.training.losses import step_losses
from seriatim.training.memory import keep_freed_memory
from seriatim.training.metrics import Metrics
from seriatim.training.parallel import Processes
from seriatim.training.schedule import learning_rate


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended: the newest checkpoint, its step, and its losses (None where metrics.jsonl has none of that step;
    held-out: where none was asked)."""

    checkpoint: Path
    step: int
    loss: float | None
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
    Raises `UsageError` where the run began with other settings, or another process is at it, and `TrainingError` where
    it cannot go on, naming the newest good checkpoint.
    """
    with parallel.processes() as among, alone(run, among.first):
        parts_each(config.run.accumulate, among.count)  # refused before anything is written
        check_shape(config)
        shown = progress if among.first else None
        data = _data(config, run, among, shown)
        return _trained(config, data, run, among, steps, expert_parallel, shown)


def _data(config: TrainConfig, run: Path, among: Processes, progress: Progress | None) -> Data:
    """What the run trains on. Raises as `corpus` does, naming the newest good checkpoint where there is one."""
    try:
        return corpus(config, run, among, progress)
    except TrainingError as error:
        held = checkpoints.newest(run)
        if held is None:
            raise
        raise TrainingError(f"{error}; {_good(held)}") from error


def train(
    config: Recipe, data: Data, run: Path, *, steps: int | None = None, progress: Progress | None = None
) -> Trained:
    """Train on `data`, whatever they are, in this process, as `pretrain` does."""
    with alone(run):
        return _trained(config, data, run, Processes(), steps, 1, progress)


def _trained(
    config: Recipe,
    data: Data,
    run: Path,
    among: Processes,
    steps: int | None,
    expert_parallel: int,
    progress: Progress | None,
) -> Trained:
    check_data(config, data)
    held = checkpoints.newest(run)
    step = checkpoints.step_of(held) if held else 0
    if among.first:
        settle_recipe(run, config, data, step)
    model, optimizer = _begun(config, data, among, expert_parallel, held)
    last = min(steps or config.schedule.steps, config.schedule.steps)
    metrics: Metrics | None = None
    row: dict[str, Any] = {}
    try:
        if among.first:
            metrics = Metrics(run, step, tensorboard=config.run.tensorboard, wandb=config.run.wandb)
            row = metrics.last
        # A kill may have come between a checkpoint and what was to be told of it.
        if held and among.any(among.first and _is_validated(config, step, last) and "validation_loss" not in row):
            row = row | _validated(model, data, config, step, metrics)
        while step < last:
            row = _timed_step(model, optimizer, config, data, among, step)
            step += 1
            # Its row goes before a checkpoint, so that what the run goes on from is told of, and told of once.
            if metrics:
                metrics.write(row)
            if progress:
                _tell(progress, row, last)
            if step % config.run.save_every == 0 or step == last:
                held = checkpoints.keep(
                    run, step, model, optimizer, among, tokenizer=data.tokenizer, most=config.run.keep
                )
            if _is_validated(config, step, last):
                row = row | _validated(model, data, config, step, metrics)
    except UsageError:
        raise
    except (SeriatimError, OSError, RuntimeError) as error:
        raise TrainingError(f"stopped after step {step}: {_reason(error)}; {_good(held)}") from error
    finally:
        if metrics:
            metrics.close()
    if held is None:
        raise TrainingError(f"there is nothing to train: {last} steps")
    return Trained(held, step, row.get("loss"), row.get("validation_loss"))


def _begun(
    config: Recipe, data: Data, among: Processes, expert_parallel: int, held: Path | None
) -> tuple[Olmoe, AdamW]:
    """The model and its optimizer in the state that is `held`, or as a run begins, where they are trained."""
    keep_freed_memory()
    try:
        model = new_model(config, data)
        if among.count == 1:  # several take it to their devices block by block, so that none need hold all of it
            model = model.to(parallel.device())
        if config.model.routing == "expert_choice":
            let_experts_choose(model)
        parallel.shard(model, among, expert_parallel, numbers=_numbers(config))
        optimizer = _optimizer(model, config)
        if held:
            checkpoints.restore(held, model, optimizer)
    except RuntimeError as error:
        raise TrainingError(f"the model cannot be made: {_reason(error)}") from error
    return model, optimizer


def _timed_step(
    model: Olmoe, optimizer: AdamW, config: Recipe, data: Data, among: Processes, step: int
) -> dict[str, Any]:
    before = time.perf_counter()
    row = _step(model, optimizer, config, data, among, step)
    return row | {"tokens_per_s": row["tokens"] / (time.perf_counter() - before)}


def _step(model: Olmoe, optimizer: AdamW, config: Recipe, data: Data, among: Processes, step: int) -> dict[str, Any]:
    """One step of the optimizer; returns its metrics."""
    rate = learning_rate(config.schedule, step, config.optimizer.learning_rate)
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses: dict[str, float] = {}
    loads: list[Tensor] = []
    batch = data.batch(step)
    ids_BT, labels_BT = _placed(batch, model)
    count = parts_each(config.run.accumulate, among.count)
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
        if config.model.routing == "token_choice":  # experts that choose are loaded evenly, whatever the logits
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
        **(_loads([among.total(counts_E) for counts_E in loads]) if loads else {}),
    }


def _validated(model: Olmoe, data: Data, config: Recipe, step: int, metrics: Metrics | None) -> dict[str, float]:
    """The held-out loss after so many steps, told."""
    found = {"validation_loss": validation_loss(model, data, config)}
    if metrics:
        metrics.write({"step": step, **found})
    return found


@torch.no_grad()
def validation_loss(model: Olmoe, data: Data, config: Recipe) -> float:
    """The mean cross-entropy of a token of the held-out documents."""
    total, tokens = 0.0, 0
    for batch in data.held_out:
        ids_BT, labels_BT = _placed(batch, model)
        with _precision(config):
            mean, _ = model.cross_entropy(ids_BT, labels_BT)
        if learned := int((labels_BT != IGNORED).sum()):
            total += mean.item() * learned
            tokens += learned
    parallel.let_go(model)
    return total / tokens


def _is_validated(config: Recipe, step: int, last: int) -> bool:
    """Whether the held-out loss is computed after so many steps."""
    every = config.run.validate_every
    return bool(every) and (step % every == 0 or step == last)


def _placed(batch: Batch, model: Olmoe) -> tuple[Tensor, Tensor]:
    """A batch where the model is."""
    place = next(model.parameters()).device
    ids_BT, labels_BT = (torch.from_numpy(each).to(place, torch.long) for each in batch)
    return ids_BT, labels_BT


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
    numbers = _numbers(config)
    return torch.autocast(parallel.device().type, numbers) if numbers else nullcontext()


def _numbers(config: Recipe) -> torch.dtype | None:
    """What products are computed in, where that is not float32."""
    wanted = config.run.precision
    if wanted == "auto":
        on_gpu = parallel.device().type == "cuda"
        wanted = "bfloat16" if on_gpu and torch.cuda.is_bf16_supported() else "float32"
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


def _tell(progress: Progress, row: dict[str, Any], last: int) -> None:
    told = f"loss {row['loss']:.3f}, {row['tokens_per_s']:,.0f} tokens/s"
    if "load_max" in row:
        told += f", fullest expert {row['load_max']:.1f}x"
    progress(told, row["step"], last)


def _good(held: Path | None) -> str:
    return f"the newest good checkpoint is {held}" if held else "no checkpoint was made yet"


def _reason(error: Exception) -> str:
    """What an error says, in a line."""
    said = str(error).partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in said:
        return f"the memory is full ({said}): take a larger run.accumulate, a smaller run.batch_size or model"
    return said
