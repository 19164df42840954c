"""A training run's settings, as its TOML file gives them: one dataclass a table.

The defaults are OLMoE's recipe (arXiv 2409.02060, appendix B) wherever it does not depend on the size of the model.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from math import isfinite, nextafter
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from seriatim.errors import UsageError
from seriatim.olmoe.config import OlmoeConfig

BELOW_1 = nextafter(1.0, 0.0)
LARGEST = (1 << 32) - 1
"""The largest whole number of a setting: NumPy's and transformers' limit of seeds, and no size is larger."""

Precision = Literal["auto", "float32", "bfloat16"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """The shape of the model; names as in `config.json`. `vocab_size` 0 means that of the data's tokenizer.

    `start` is a folder with a checkpoint to continue from; the shape is then the checkpoint's, and must not be given.
    `routing` by expert choice is for studies: such a model can be trained, but not asked (see `expert_choice`).
    """

    start: str = ""
    vocab_size: int = 0
    hidden_size: int = 0
    intermediate_size: int = 0
    num_hidden_layers: int = 0
    num_attention_heads: int = 0
    num_key_value_heads: int = 0
    num_experts: int = 64
    num_experts_per_tok: int = 8
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    norm_topk_prob: bool = False
    clip_qkv: float = 0.0
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02
    routing: Literal["token_choice", "expert_choice"] = "token_choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Where tokens come from: `shards`, a folder that `seriatim train data` made, or `sources`, which are made into
    one in the run's folder first, with a tokenizer of `vocab_size` trained on them or the file `tokenizer`. Paths are
    relative to the TOML file. `field` is the column of texts in JSONL and Parquet, `validation` the share of documents
    held out."""

    shards: str = ""
    sources: tuple[str, ...] = ()
    field: str = "text"
    tokenizer: str = ""
    vocab_size: int = 0
    sequence_length: int = 1024
    validation: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """AdamW, with decay on everything, norms and embeddings too."""

    learning_rate: float = 4e-4
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """Linear warm-up over `warmup_steps`, a cosine down to `final_share` of the rate, then, over the last
    `anneal_steps`, a line to zero."""

    steps: int
    warmup_steps: int = 0
    anneal_steps: int = 0
    final_share: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """The auxiliary losses: their weights, and which form of each (see `olmoe.losses`)."""

    balancing: float = 0.01
    balancing_form: Literal["trained", "paper", "transformers"] = "trained"
    z: float = 0.001
    z_form: Literal["trained", "paper"] = "trained"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How the run goes: `batch_size` sequences a step, in `accumulate` parts, which are counted over all processes (see
    `parts_each`); a checkpoint every `save_every` steps, of which the last `keep` stay; held-out loss every
    `validate_every` steps (0: never)."""

    batch_size: int = 8
    accumulate: int = 1
    seed: int = 0
    precision: Precision = "auto"
    save_every: int = 100
    keep: int = 2
    validate_every: int = 0
    tensorboard: bool = False
    wandb: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What every run's settings have in common. `folder` is where the TOML file stood."""

    model: ModelSettings
    schedule: ScheduleSettings
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    run: RunSettings = field(default_factory=RunSettings)
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        schedule, optimizer, run = self.schedule, self.optimizer, self.run
        at_least(
            ("model.vocab_size", self.model.vocab_size, 0),
            ("schedule.steps", schedule.steps, 1),
            ("schedule.warmup_steps", schedule.warmup_steps, 0),
            ("schedule.anneal_steps", schedule.anneal_steps, 0),
            ("optimizer.eps", optimizer.eps, 0),
            ("optimizer.learning_rate", optimizer.learning_rate, 0),
            ("optimizer.weight_decay", optimizer.weight_decay, 0),
            ("optimizer.clip", optimizer.clip, 0),
            ("loss.balancing", self.loss.balancing, 0),
            ("loss.z", self.loss.z, 0),
            ("run.batch_size", run.batch_size, 1),
            ("run.accumulate", run.accumulate, 1),
            ("run.save_every", run.save_every, 1),
            ("run.keep", run.keep, 1),
            ("run.validate_every", run.validate_every, 0),
        )
        within(
            ("schedule.final_share", schedule.final_share, 0, 1),
            ("optimizer.beta1", optimizer.beta1, 0, BELOW_1),
            ("optimizer.beta2", optimizer.beta2, 0, BELOW_1),
            ("run.seed", run.seed, 0, LARGEST),
        )
        divides(run.accumulate, run.batch_size)
        if schedule.warmup_steps + schedule.anneal_steps > schedule.steps:
            raise UsageError(
                f"schedule.warmup_steps = {schedule.warmup_steps} and schedule.anneal_steps = {schedule.anneal_steps} "
                f"must not be more together than schedule.steps = {schedule.steps}"
            )
        _check_model(self.model, self.loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(Recipe):
    """All settings of a pretraining run."""

    data: DataSettings

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        at_least(("data.sequence_length", self.data.sequence_length, 2), ("data.vocab_size", self.data.vocab_size, 0))
        within(("data.validation", self.data.validation, 0, 0.5))
        if bool(self.data.shards) == bool(self.data.sources):
            raise UsageError("the data are either data.shards, a folder of token shards, or data.sources, to make some")


def at_least(*limits: tuple[str, float, float]) -> None:
    """Raises `UsageError` for the first of (name, value, least) whose value is less."""
    for name, value, low in limits:
        if value < low:
            raise UsageError(f"{name} = {value} must be at least {low}")


def within(*limits: tuple[str, float, float, float]) -> None:
    """Raises `UsageError` for the first of (name, value, least, most) whose value is less or more."""
    for name, value, low, high in limits:
        if not low <= value <= high:
            most = "less than 1" if high == BELOW_1 else f"at most {high}"
            raise UsageError(f"{name} = {value} must be at least {low} and {most}")


def divides(accumulate: int, batch_size: int) -> None:
    """Raises `UsageError` where a batch cannot be cut into as many parts."""
    if batch_size % accumulate:
        raise UsageError(f"run.accumulate = {accumulate} must divide run.batch_size = {batch_size}")


def parts_each(accumulate: int, processes: int) -> int:
    """In how many parts, one after another, each of several processes computes its share of a batch: 1 where there are
    at least as many processes as parts. Raises `UsageError` where they would have different numbers of them."""
    if accumulate > processes and accumulate % processes:
        raise UsageError(
            f"run.accumulate = {accumulate} parts cannot be shared out evenly among {processes} processes: set it to a "
            f"multiple of {processes}, or take a number of processes that divides it"
        )
    return max(1, accumulate // processes)


def read_config(path: Path) -> TrainConfig:
    """The settings of pretraining in a TOML file. Raises `UsageError` as `read_settings` does."""
    return read_settings(path, TrainConfig)


def read_settings(path: Path, kind: type[T]) -> T:
    """The settings in a TOML file, of a dataclass that has a table in each field, and the file's `folder`.

    Raises `UsageError`, naming the key, for what is no such file or has a key or value that is none.
    """
    given = tables(path)
    try:
        return _table(kind, given, "", {"folder": path.resolve().parent})
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def tables(path: Path) -> dict[str, Any]:
    """What a TOML file says, unchecked. Raises `UsageError` for what is no such file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the settings cannot be read from {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def model_config(
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


def _check_model(model: ModelSettings, loss: LossSettings) -> None:
    """Raises `UsageError` for a shape beside `start`, and for balance asked of experts that choose."""
    if model.start:
        for each in fields(model):
            if each.name not in ("start", "routing") and getattr(model, each.name) != each.default:
                raise UsageError(f"model.{each.name} must be left out: the shape is that of model.start")
    if model.routing == "expert_choice" and loss.balancing:
        raise UsageError("loss.balancing must be 0: experts that choose their tokens are loaded evenly by themselves")


def _table(kind: type[T], table: Mapping[str, Any], where: str, given: Mapping[str, Any] | None = None) -> T:
    """`table` as the dataclass `kind`; keys are checked by name, values by type."""
    types = {name: each for name, each in get_type_hints(kind).items() if name not in (given or {})}
    values = dict(given or {})
    for key, value in table.items():
        if key not in types:
            near = get_close_matches(key, types, 1)
            hint = f"; did you mean {where}{near[0]}?" if near else f"; known are {', '.join(types)}"
            raise UsageError(f"{where}{key} is no setting{hint}")
        values[key] = _value(types[key], value, f"{where}{key}")
    for each in fields(kind):  # type: ignore[arg-type]
        if each.name not in values and each.default is MISSING and each.default_factory is MISSING:
            raise UsageError(f"{where}{each.name} is missing")
    return kind(**values)


def _value(kind: Any, value: Any, name: str) -> Any:
    if isinstance(kind, UnionType):  # a table that may be left out
        kind = next(each for each in get_args(kind) if each is not NoneType)
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise UsageError(f"{name} must be a table: [{name}]")
        return _table(kind, value, f"{name}.")  # type: ignore[arg-type]
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UsageError(f"{name} = {value!r} must be one of {', '.join(map(str, get_args(kind)))}")
        return value
    if get_origin(kind) is tuple:
        each = get_args(kind)[0]
        if not isinstance(value, list) or not all(type(item) is each for item in value):
            raise UsageError(f"{name} = {value!r} must be a list of {'strings' if each is str else 'whole numbers'}")
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{name} = {value} must be a finite number")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise UsageError(f"{name} = {value!r} must be {words[kind]}")
    if kind is int and value > LARGEST:
        raise UsageError(f"{name} = {value} must be at most {LARGEST}")
    return value
