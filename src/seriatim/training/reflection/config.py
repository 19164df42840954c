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
    that mining keeps with a reflection that confirms. `model` is what `--model` takes, or a folder beside the file.
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
    questions of `data` about the documents of the folder `library`, over passages of so many `tokens`. What shares
    `words` words in a row with a question of the files `benchmarks` is left out. `system` goes before each, but for a
    library's, which are asked as `seriatim ask` asks."""

    name: Literal["minidag", "gsm8k", "library"]
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
        if self.task.name == "library":
            if not self.task.data or not self.task.library:
                raise UsageError("task.data and task.library must be a file of questions and a library's folder")
            if maker.maker != "mining" or self.task.system:
                raise UsageError("a library's questions are mined, without task.system: maker.maker must be mining")
        if self.task.name == "minidag" and maker.maker != "mining":
            raise UsageError("MiniDAG's right responses and injected mistakes are its arms; maker.maker must be mining")
        if maker.maker != "injection" and not maker.model:
            raise UsageError("maker.model is missing: the model whose responses are taken")


def read_config(path: Path) -> MineConfig:
    """The settings in a TOML file; raises `UsageError` as `read_settings` does."""
    return read_settings(path, MineConfig)
