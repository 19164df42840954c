"""Fine-tuning by TRL and PEFT: answers learnt from conversations (SFT), and from preferences (DPO).

RUN/tune.json                    what the run began with, so that it goes on with that alone
RUN/checkpoints/checkpoint-N     transformers' checkpoints: weights or adapter, optimizer, random numbers
RUN/metrics.jsonl                a row a step

`export` makes a model of a run.
"""

import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor

from seriatim.errors import ModelError, SeriatimError, TrainingError, UsageError
from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.config import OlmoeConfig
from seriatim.progress import Progress
from seriatim.training import examples
from seriatim.training.beginning import FORMAT, alone, kept, settle
from seriatim.training.data.batches import IGNORED
from seriatim.training.metrics import Metrics, read_metrics
from seriatim.training.tune_config import DpoConfig, LoraSettings, SftConfig

try:
    import datasets
    import transformers
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import OlmoeForCausalLM, PreTrainedTokenizerFast, TrainerCallback
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
except ImportError as error:
    raise UsageError(f"tuning needs TRL and PEFT: pip install 'seriatim[tune]' ({error})") from error

FILE, CHECKPOINTS = "tune.json", "checkpoints"
EXPERTS = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
SFT_COLUMNS = ("input_ids", "labels")
DPO_COLUMNS = ("prompt_ids", "chosen_ids", "rejected_ids")

_NAMES = {"grad_norm": "gradient_norm", "eval_loss": "validation_loss"}
"""What transformers calls otherwise than pretraining's metrics do."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Tuned:
    """How a run ended: its newest checkpoint, its step, the last losses (None where metrics.jsonl has none), and how
    many weights are trained."""

    checkpoint: Path
    step: int
    loss: float | None
    validation_loss: float | None
    trained: int


def sft(
    rows: Rows,
    config: SftConfig,
    run: Path,
    *,
    validation: Rows | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Tune on rows of `input_ids` and `labels` (-100: read, not learnt), of any length, for the settings' epochs, or
    until step `steps`; keep everything in the folder `run`.

    `examples.conversations` makes such rows; others may be given, whatever `config.data` says. The loss is the mean
    over all learnt tokens of a step. A run that was stopped, even killed, goes on from its newest checkpoint and ends
    in the same weights. Raises `TrainingError` for rows that are none, and where the run cannot go on, naming the
    newest good checkpoint; `ModelError` for a start that is no OLMoE checkpoint.
    """
    return _tune("sft", rows, validation, config, run, steps, progress)


def dpo(
    rows: Rows,
    config: DpoConfig,
    run: Path,
    *,
    validation: Rows | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Tune on rows of `prompt_ids`, `chosen_ids` and `rejected_ids`, as `examples.preferences` makes them, against the
    model that it starts from (arXiv 2305.18290). Otherwise as `sft`."""
    return _tune("dpo", rows, validation, config, run, steps, progress)


def expected_trained(config: OlmoeConfig, lora: LoraSettings | None) -> int:
    """How many weights are trained: all, or a pair of narrow matrices for each that is changed."""
    if lora is None:
        return config.total_parameters
    size, width, inner = config.hidden_size, config.key_value_size, config.intermediate_size
    experts = config.num_experts * lora.rank * ((size + 2 * inner) + (inner + size))
    attention = lora.rank * 2 * ((size + size) + (size + width)) if lora.attention else 0
    return config.num_hidden_layers * (experts + attention)


def newest(run: Path) -> Path | None:
    """The newest whole checkpoint of a run; None before the first."""
    return max(filter(_is_whole, (run / CHECKPOINTS).glob("checkpoint-*")), key=_step, default=None)


def merged(start: Path, adapter: Path) -> dict[str, Tensor]:
    """The weights of the model `start` with the low-rank changes in the checkpoint `adapter` added."""
    with _quiet():
        changed = PeftModel.from_pretrained(_load(start), adapter).merge_and_unload(safe_merge=True)
    return dict(changed.state_dict())


def _tune(
    kind: Literal["sft", "dpo"],
    rows: Rows,
    validation: Rows | None,
    config: SftConfig | DpoConfig,
    run: Path,
    steps: int | None,
    progress: Progress | None,
) -> Tuned:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 or torch.cuda.device_count() > 1:
        raise UsageError("tuning runs in one process on one GPU: start it plainly, with CUDA_VISIBLE_DEVICES=0")
    start = (config.folder / config.model.start).resolve()
    shape = Checkpoint(start).config
    columns = SFT_COLUMNS if kind == "sft" else DPO_COLUMNS
    rows = examples.given(rows, columns, shape.vocab_size)
    held_out = examples.given(validation, columns, shape.vocab_size) if validation else None
    with alone(run):
        _begin(run, kind, config, start, rows)
        return _tuned(rows, held_out, config, run, steps, progress)


def _tuned(
    rows: Sequence[examples.Row],
    held_out: Sequence[examples.Row] | None,
    config: SftConfig | DpoConfig,
    run: Path,
    steps: int | None,
    progress: Progress | None,
) -> Tuned:
    start = (config.folder / config.model.start).resolve()
    shape = Checkpoint(start).config
    held = newest(run)
    if held and steps is not None and steps <= _step(held):
        return _ended(run, held, expected_trained(shape, config.lora))
    step = _step(held) if held else 0
    metrics = Metrics(run, step, tensorboard=config.run.tensorboard, wandb=config.run.wandb)
    told = _Told(metrics, steps, progress)
    try:
        with _quiet():
            transformers.set_seed(config.run.seed)
            # Of stacked experts, transformers' own resumption would silently load nothing.
            model = _adapted(_load(start if held is None or config.lora else held), config.lora, shape)
            trainer = _trainer(config, model, start, run, _dataset(rows), held_out and _dataset(held_out), told)
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train(resume_from_checkpoint=str(held) if held else None)
    except (SeriatimError, OSError, RuntimeError, EOFError, SafetensorError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        if held and not told.step:
            raise TrainingError(f"{held} cannot be gone on from ({reason}): remove it to go on before it") from error
        good = newest(run)
        hint = f"the newest good checkpoint is {good}" if good else "no checkpoint was made yet"
        raise TrainingError(f"stopped after step {told.step}: {reason}; {hint}") from error
    finally:
        metrics.close()
    made = newest(run)
    if made is None:
        raise TrainingError(f"there is nothing to train: {config.run.epochs} epochs")
    return _ended(run, made, expected_trained(shape, config.lora))


def _ended(run: Path, made: Path, trained: int) -> Tuned:
    """What a run comes to whose newest checkpoint is `made`."""
    rows = (row for row in read_metrics(run) if row["step"] <= _step(made))
    last = {name: value for row in rows for name, value in row.items()}
    return Tuned(made, _step(made), last.get("loss"), last.get("validation_loss"), trained)


def _begin(run: Path, kind: str, config: SftConfig | DpoConfig, start: Path, rows: Sequence[examples.Row]) -> None:
    """Write down what the run begins with; a run that goes on must have begun with the same."""
    digest = hashlib.sha256()
    for row in rows:
        for name, ids in row.items():
            digest.update(f"{name} {len(ids)}".encode() + ids.tobytes())
    settings = {name: each for name, each in asdict(config).items() if name in ("lora", "run")}
    state = {"format": FORMAT, "kind": kind, "start": str(start), **settings, "rows_sha256": digest.hexdigest()}
    settle(run / FILE, state)


def read(run: Path) -> dict[str, Any]:
    """What the run began with. Raises `TrainingError` for a folder that is none of a run."""
    state = kept(run / FILE)
    if state is None:
        raise TrainingError(f"{run} is no run of seriatim train sft or dpo")
    return state


def _load(start: Path) -> OlmoeForCausalLM:
    return OlmoeForCausalLM.from_pretrained(start, dtype=torch.float32)


def _adapted(model: OlmoeForCausalLM, lora: LoraSettings | None, shape: OlmoeConfig) -> Any:
    """The model with what is to be trained: all of it, or low-rank changes of which none goes unnoticed."""
    made: Any = model
    if lora:
        made = get_peft_model(
            model,
            LoraConfig(
                r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, task_type="CAUSAL_LM",
                target_modules=list(ATTENTION) if lora.attention else [], target_parameters=list(EXPERTS),
            ),
        )  # fmt: skip
    trained = sum(parameter.numel() for parameter in made.parameters() if parameter.requires_grad)
    expected = expected_trained(shape, lora)
    if trained != expected:
        raise TrainingError(f"{trained:,} weights would be trained, not {expected:,}: PEFT or transformers has changed")
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """The packages' own bars and advice kept off the terminal: what matters comes as metrics and errors."""
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
        transformers.utils.logging.enable_progress_bar()
        datasets.enable_progress_bars()


class _Quiet:
    """What TRL's trainers do besides, undone: they report their use over the network, and write a model card."""

    def _send_telemetry(self) -> None:
        pass

    def create_model_card(self, *_args: Any, **_more: Any) -> None:
        pass


class _Sft(_Quiet, SFTTrainer):
    """Its held-out loss is that of a learnt token, whatever the batches; transformers would take the mean of their
    means, and TRL would add the balancing loss."""

    def evaluation_loop(self, *args: Any, **more: Any) -> Any:
        self._sum, self._learnt = 0.0, 0
        balancing, self.aux_loss_enabled = self.aux_loss_enabled, False
        try:
            found: Any = super().evaluation_loop(*args, **more)
        finally:
            self.aux_loss_enabled = balancing
        found.metrics["eval_loss"] = self._sum / max(1, self._learnt)
        return found

    def prediction_step(self, model: Any, inputs: Any, *args: Any, **more: Any) -> Any:
        learnt = int((inputs["labels"][:, 1:] != IGNORED).sum())
        mean, *others = super().prediction_step(model, inputs, *args, **more)
        self._sum += float(mean) * learnt
        self._learnt += learnt
        return mean, *others


class _Dpo(_Quiet, DPOTrainer):
    def _prepare_dataset(self, dataset: Any, *_args: Any, **_more: Any) -> Any:
        """The rows are ids already; TRL would make them of texts, in which a mark of a turn would be obeyed."""
        return dataset


def _trainer(
    config: SftConfig | DpoConfig, model: Any, start: Path, run: Path, rows: Any, held_out: Any, told: "_Told"
) -> Any:
    settings = config.run
    with_gpu = torch.cuda.is_available()
    bf16 = settings.precision == "bfloat16" or (
        settings.precision == "auto" and with_gpu and torch.cuda.is_bf16_supported()
    )
    common: dict[str, Any] = {
        "output_dir": str(run / CHECKPOINTS), "per_device_train_batch_size": settings.batch_size // settings.accumulate,
        "gradient_accumulation_steps": settings.accumulate, "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate, "lr_scheduler_type": "linear", "warmup_steps": settings.warmup_share,
        "weight_decay": settings.weight_decay, "max_grad_norm": settings.clip, "seed": settings.seed,
        "save_strategy": "steps", "save_steps": settings.save_every, "save_total_limit": settings.keep,
        "eval_strategy": "steps" if settings.validate_every else "no", "eval_steps": settings.validate_every or None,
        "per_device_eval_batch_size": settings.batch_size // settings.accumulate,
        "logging_steps": 1, "logging_nan_inf_filter": False, "disable_tqdm": True, "report_to": [], "bf16": bf16,
        "use_cpu": not with_gpu, "dataloader_pin_memory": with_gpu, "gradient_checkpointing": config.model.recompute,
        "max_length": None, "router_aux_loss_coef": settings.balancing,
    }  # fmt: skip
    shared: dict[str, Any] = {
        "model": model, "train_dataset": rows, "eval_dataset": held_out if settings.validate_every else None,
        "processing_class": _padding_tokenizer(start), "callbacks": [told],
    }  # fmt: skip
    if isinstance(config, SftConfig):
        return _Sft(args=SFTConfig(**common, packing=False), **shared)
    reference = None if isinstance(model, PeftModel) else _load(start)
    return _Dpo(args=DPOConfig(**common, beta=config.run.beta), ref_model=reference, **shared)


def _padding_tokenizer(start: Path) -> PreTrainedTokenizerFast:
    """What the trainers ask a tokenizer for: the id that fills a row up. Rows come as ids."""
    shape = OlmoeConfig.from_file(start / "config.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(start / "tokenizer.json"))
    end, padding = shape.eos_token_id, shape.pad_token_id
    if end is None:
        raise ModelError(f"{start} has no eos_token_id in its config, with which an answer ends")
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(end if padding is None else padding)
    return tokenizer


def _dataset(rows: Rows) -> Any:
    return datasets.Dataset.from_dict({name: [row[name] for row in rows] for name in rows[0]})


def _is_whole(checkpoint: Path) -> bool:
    """Whether nothing stopped the trainer while it wrote; it writes this file last."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


class _Told(TrainerCallback):
    """Hands on what the trainer tells, and stops it at a step that was asked for, or at a loss that is no number."""

    def __init__(self, metrics: Metrics, last: int | None, progress: Progress | None) -> None:
        self._metrics, self._last, self._progress = metrics, last, progress
        self.step, self._tokens, self._begun = 0, 0.0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self._tokens = state.num_input_tokens_seen

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self._begun = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        if self._last is not None and state.global_step >= self._last:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        logs: dict[str, float] = dict(kwargs["logs"])
        self.step = state.global_step
        if "loss" in logs:
            if not math.isfinite(logs["loss"]) or not math.isfinite(logs.get("grad_norm", 0.0)):
                raise TrainingError(f"the loss or its gradient is no number at step {self.step}")
            logs["tokens_per_s"] = (logs["num_tokens"] - self._tokens) / (time.perf_counter() - self._begun)
            self._tokens = logs["num_tokens"]
            if self._progress:
                told = f"loss {logs['loss']:.3f}, {logs['tokens_per_s']:,.0f} tokens/s"
                self._progress(told, self.step, min(self._last or state.max_steps, state.max_steps))
        elif "eval_loss" not in logs:
            return  # the summary at the end
        row = {_NAMES.get(name, name): float(value) for name, value in logs.items()}
        self._metrics.write({"step": self.step, **row})
