"""Rounds of on-policy mining: the trained model's own mistakes, put right, become data to go on with.

Every second batch is of mined examples, the others of the arm's own. The control goes on for as many steps on the arm's
data alone.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from seriatim.errors import TrainingError, UsageError
from seriatim.files import write_json
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.progress import Progress
from seriatim.training import loop
from seriatim.training.config import ModelSettings, ScheduleSettings
from seriatim.training.data.batches import Batch
from seriatim.training.loop import Trained
from seriatim.training.minidag.config import MiniDagConfig, MiniDagSettings
from seriatim.training.minidag.data import ArmData
from seriatim.training.minidag.evaluate import solve, trained_model
from seriatim.training.minidag.padding import buckets, padded
from seriatim.training.minidag.task import Problem, problems
from seriatim.training.minidag.train import arm_data
from seriatim.training.reflection.attempts import Attempt, Task, attempt
from seriatim.training.reflection.mining import mined
from seriatim.training.reflection.segments import Example, encode_all, read_examples, write_examples
from seriatim.training.reflection.verifiers.minidag import minidag

MINED, COUNTS = "mined.jsonl", "mined.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round: `samples` responses at `temperature` to each of `problems` problems; `confirm` is the share of right
    ones that are kept with a reflection that confirms. On what comes of it the model goes on for `steps` steps, from
    `learning_rate` along a cosine."""

    steps: int = 1000
    learning_rate: float = 3e-4
    problems: int = 1000
    samples: int = 4
    temperature: float = 0.8
    confirm: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.problems, self.samples) < 1 or min(self.temperature, self.learning_rate) <= 0:
            raise UsageError("a round needs steps, problems and samples, a temperature and a rate above 0")


@dataclass(frozen=True)
class MixedData(ArmData):
    """An arm's data with every second batch from `mined`."""

    mined: tuple[Batch, ...] = field(default=(), kw_only=True)

    def batch(self, step: int) -> Batch:
        """The batch of `step`, of the arm where that is even."""
        return self.mined[step // 2 % len(self.mined)] if self.mined and step % 2 else super().batch(step)


def go_on(
    config: MiniDagConfig,
    checkpoint: Path,
    run: Path,
    settings: Round,
    *,
    control: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Mine the model in `checkpoint` into `run`, once, and go on from its weights for the round's steps; a control
    mines nothing. A run that was stopped goes on. Raises `TrainingError` where the model makes no mistake."""
    going = replace(
        config,
        model=ModelSettings(start=str(checkpoint.resolve()), routing=config.model.routing),
        minidag=replace(config.minidag, practice_steps=0),
        schedule=ScheduleSettings(steps=settings.steps),
        optimizer=replace(config.optimizer, learning_rate=settings.learning_rate),
    )
    data = arm_data(going, run)
    if not control:
        data = MixedData(**{**vars(data), "mined": _mined(data, checkpoint, run, settings)})
    return loop.train(going, data, run, progress=progress)


def mine(
    model: Olmoe, symbols: Tokenizer, settings: Round, task: MiniDagSettings
) -> tuple[list[Example], Counter[str]]:
    """The examples that the model's responses to new problems give, and what became of the responses."""
    rng = random.Random(f"round {settings.seed}")
    stream = problems(rng, range(1, task.operations + 1), "train", modulus=task.modulus, definitions=task.definitions)
    asked = list(islice(stream, settings.problems))
    drawn = [
        solve(model, symbols, asked, reflect=False, temperature=settings.temperature, seed=settings.seed + number)
        for number in range(settings.samples)
    ]
    counts: Counter[str] = Counter()
    found: list[Example] = []
    for place, problem in enumerate(asked):
        found += mined(
            Task(problem.prompt, minidag(problem), "minidag", reflection=lambda _wrong, right, _verdict: right),
            [attempt(outcomes[place].text) for outcomes in drawn],
            partial(_solution, problem),
            source="itself", confirm=settings.confirm, rng=rng, counts=counts,
        )  # fmt: skip
    return found, counts


def _solution(problem: Problem, begun: str) -> Iterable[Attempt | None]:
    """The right response that goes on from a text, by the problem's own solution."""
    head, _, steps = begun.partition("</plan>\n")
    done = steps.splitlines()
    left = [problem.step(name) for name in problem.order if name not in {line[0] for line in done}]
    return [Attempt(head.partition("<plan>\n")[2].strip(), (*done, *left), problem.answer)]


def _mined(data: ArmData, checkpoint: Path, run: Path, settings: Round) -> tuple[Batch, ...]:
    """The run's mined batches, made once."""
    file = run / MINED
    if not file.exists():
        found, counts = mine(trained_model(checkpoint), data.symbols, settings, data.settings)
        if not found:
            raise TrainingError(f"the model in {checkpoint} made no mistake to learn from: {dict(counts)}")
        write_json(run / COUNTS, dict(counts))
        write_examples(file, found)
    kept, _ = encode_all(read_examples(file), data.symbols, data.settings.context)
    batches = buckets(kept, data.settings.batch_tokens)
    random.Random(settings.seed).shuffle(batches)
    return tuple(padded(each) for each in batches)
