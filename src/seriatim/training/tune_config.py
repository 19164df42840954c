"""The settings of fine-tuning, as their TOML files give them: one dataclass a table.

The defaults are those with which OLMoE-1B-7B was adapted (arXiv 2409.02060, section 3.2 and appendix B).
"""

from dataclasses import dataclass, field
from pathlib import Path

from seriatim.errors import UsageError
from seriatim.training.config import LARGEST, Precision, at_least, divides, within

MOST_EPOCHS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSettings:
    """`start` is the folder of the checkpoint to tune, relative to the TOML file. `recompute` saves memory: what the
    backward pass needs of a layer is computed again instead of kept."""

    start: str
    recompute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """With this table only low-rank changes are trained: to the experts, each of which has its own, and with
    `attention` to the four projections of attention too. A change is weighted by `alpha` / `rank`."""

    rank: int = 16
    alpha: int = 32
    attention: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSettings:
    """Files of JSONL, relative to the TOML file: what is learnt, and what is held out. Examples of more than
    `max_length` tokens are left out, not cut, and counted."""

    train: str = ""
    validation: str = ""
    max_length: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SftRun:
    """How the run goes. The rate rises over `warmup_share` of the steps and falls in a line to zero. `batch_size`
    examples a step, in `accumulate` parts; a checkpoint every `save_every` steps, of which the last `keep` stay;
    held-out loss every `validate_every` steps (0: never). Gradients are clipped at the norm `clip` (0: not).

    `balancing` is the weight of the router's balancing loss in transformers' form: none by default, whatever the
    checkpoint's config or TRL would set.
    """

    learning_rate: float = 2e-5
    epochs: float = 2.0
    batch_size: int = 128
    accumulate: int = 1
    warmup_share: float = 0.03
    weight_decay: float = 0.0
    clip: float = 1.0
    balancing: float = 0.0
    seed: int = 0
    precision: Precision = "auto"
    save_every: int = 100
    keep: int = 2
    validate_every: int = 0
    tensorboard: bool = False
    wandb: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoRun(SftRun):
    """As in `SftRun`. `beta` holds the model to the one that it starts from: the larger, the closer."""

    learning_rate: float = 5e-7
    epochs: float = 3.0
    batch_size: int = 32
    warmup_share: float = 0.1
    beta: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SftConfig:
    """Settings of `seriatim train sft`. `folder` is where the TOML file stood."""

    model: StartSettings
    data: ExampleSettings = field(default_factory=ExampleSettings)
    lora: LoraSettings | None = None
    run: SftRun = field(default_factory=SftRun)
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        _check(self.data, self.lora, self.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoConfig:
    """Settings of `seriatim train dpo`. `folder` is where the TOML file stood."""

    model: StartSettings
    data: ExampleSettings = field(default_factory=ExampleSettings)
    lora: LoraSettings | None = None
    run: DpoRun = field(default_factory=DpoRun)
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        _check(self.data, self.lora, self.run)
        at_least(("run.beta", self.run.beta, 0))


def _check(data: ExampleSettings, lora: LoraSettings | None, run: SftRun) -> None:
    at_least(
        ("data.max_length", data.max_length, 2),
        ("run.learning_rate", run.learning_rate, 0),
        ("run.batch_size", run.batch_size, 1),
        ("run.accumulate", run.accumulate, 1),
        ("run.warmup_share", run.warmup_share, 0),
        ("run.weight_decay", run.weight_decay, 0),
        ("run.clip", run.clip, 0),
        ("run.balancing", run.balancing, 0),
        ("run.save_every", run.save_every, 1),
        ("run.keep", run.keep, 1),
        ("run.validate_every", run.validate_every, 0),
    )
    within(("run.epochs", run.epochs, 0, MOST_EPOCHS), ("run.seed", run.seed, 0, LARGEST))
    divides(run.accumulate, run.batch_size)
    if run.warmup_share >= 1:
        raise UsageError(f"run.warmup_share = {run.warmup_share} must be less than 1")
    if lora:
        at_least(("lora.rank", lora.rank, 1), ("lora.alpha", lora.alpha, 0))
    if bool(run.validate_every) != bool(data.validation):
        raise UsageError("held-out loss takes both data.validation, a file of examples, and run.validate_every")
