"""The settings of a MiniDAG run, as its TOML file gives them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seriatim.errors import UsageError
from seriatim.training.config import Recipe, read_settings
from seriatim.training.minidag.arms import MISTAKES


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniDagSettings:
    """What is trained on: the data of `arm`, on problems of 1 to `operations` operations modulo `modulus`, with up to
    `definitions` definitions, in batches of about `batch_tokens` tokens; before them, for `practice_steps` steps,
    it practises look-up and arithmetic, and, where `practice_mistakes` is above 0, in the second half to put right the
    wrong results that come with that probability. With `rehearsal` above 0 every so many-th step behind them is
    practice as well. The arm's wrong steps are of the kinds `mistakes`; `error_rate` below 0 is the arm's own."""

    arm: Literal["A", "B", "B'", "C", "D", "E", "G"] = "A"
    error_rate: float = -1.0
    mistakes: tuple[str, ...] = MISTAKES
    modulus: int = 10
    operations: int = 8
    definitions: int = 15
    context: int = 512
    batch_tokens: int = 2048
    practice_steps: int = 500
    practice_mistakes: float = 0.0
    rehearsal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniDagConfig(Recipe):
    """All settings of a MiniDAG run."""

    minidag: MiniDagSettings = field(default_factory=MiniDagSettings)

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        task = self.minidag
        for name, value, low, high in (
            ("error_rate", task.error_rate, -1, 1),
            ("modulus", task.modulus, 2, 23),
            ("operations", task.operations, 1, 12),
            ("definitions", task.definitions, task.operations, 20),
            ("context", task.context, 256, 4096),
            ("batch_tokens", task.batch_tokens, 256, 1 << 20),
            ("practice_steps", task.practice_steps, 0, 1 << 30),
            ("practice_mistakes", task.practice_mistakes, 0, 0.9),
            ("rehearsal", task.rehearsal, 0, 1 << 30),
        ):
            if not low <= value <= high:
                raise UsageError(f"minidag.{name} = {value} must be from {low} to {high}")
        if not task.mistakes or not set(task.mistakes) <= set(MISTAKES):
            raise UsageError(f"minidag.mistakes = {list(task.mistakes)} must be of {', '.join(MISTAKES)}")
        if task.rehearsal == 1:
            raise UsageError("minidag.rehearsal = 1 leaves no step for the task: it must be 0 or at least 2")
        if self.run.accumulate != 1:
            raise UsageError("run.accumulate must be 1 for MiniDAG: its batches are small")


def read_config(path: Path) -> MiniDagConfig:
    """The settings in a TOML file; raises `UsageError` as `read_settings` does."""
    return read_settings(path, MiniDagConfig)
