"""The settings of `seriatim train mine`, as a TOML file gives them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seriatim.errors import UsageError
from seriatim.training.config import at_least, read_settings, within


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerSettings:
    """How examples are made. `maker`: "mining", of a model's own mistakes; "traces", its right responses; "injection",
    mistakes put into the data's own answers, without a model.

    `samples` responses are drawn of each of the first `problems` problems; `confirm` is the share of right responses
    that mining keeps with a reflection that confirms (of a library and of code: where none of the samples is wrong).
    `model` is what `--model` takes, or a folder beside the file.
    """

    maker: Literal["mining", "traces", "injection"] = "mining"
    model: str = ""
    problems: int = 100
    samples: int = 8
    temperature: float = 0.8
    max_tokens: int = 512
    confirm: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """What is asked: problems of MiniDAG with up to `operations` operations; or GSM8K's from the file `data`; or the
    questions of `data` about the documents of the folder `library`, over passages of so many `tokens`; or "code", the
    functions of `data`, in HumanEval's form, which their tests judge in a sandbox. What shares `words` words in a row
    with a question of the files `benchmarks` is left out. `system` goes before MiniDAG's and GSM8K's; else it is the
    protocol's, or, of a library, that of `seriatim ask`."""

    name: Literal["minidag", "gsm8k", "library", "code"]
    data: str = ""
    library: str = ""
    tokens: int = 1024
    benchmarks: tuple[str, ...] = ()
    words: int = 8
    system: str = ""
    operations: int = 8
    modulus: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MineConfig:
    """All settings of a maker's run; `out` is the file of examples that it writes. Paths are relative to the TOML
    file."""

    task: TaskSettings
    out: str
    maker: MakerSettings = field(default_factory=MakerSettings)
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        maker = self.maker
        at_least(
            ("maker.problems", maker.problems, 1),
            ("maker.samples", maker.samples, 1),
            ("maker.max_tokens", maker.max_tokens, 1),
            ("maker.temperature", maker.temperature, 0),
            ("maker.seed", maker.seed, 0),
            ("task.tokens", self.task.tokens, 1),
            ("task.words", self.task.words, 1),
        )
        within(
            ("maker.confirm", maker.confirm, 0, 1),
            ("task.operations", self.task.operations, 1, 12),
            ("task.modulus", self.task.modulus, 2, 23),
        )
        if self.task.name == "gsm8k" and not self.task.data:
            raise UsageError("task.data is missing: the file train.jsonl of GSM8K")
        if self.task.name == "library" and not (self.task.data and self.task.library):
            raise UsageError("task.data and task.library must be a file of questions and a library's folder")
        if self.task.name == "code" and not self.task.data:
            raise UsageError("task.data is missing: a file of functions, with prompt, entry_point and test a line")
        if self.task.name in ("library", "code") and (maker.maker != "mining" or self.task.system):
            raise UsageError(f"task {self.task.name} is mined, without task.system: maker.maker must be mining")
        if self.task.name == "minidag" and maker.maker != "mining":
            raise UsageError("MiniDAG's right responses and injected mistakes are its arms; maker.maker must be mining")
        if maker.maker != "injection" and not maker.model:
            raise UsageError("maker.model is missing: the model whose responses are taken")


def read_config(path: Path) -> MineConfig:
    """The settings in a TOML file; raises `UsageError` as `read_settings` does."""
    return read_settings(path, MineConfig)
