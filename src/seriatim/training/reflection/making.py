"""A maker's run: tasks → examples → decontaminated → a file."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from seriatim.errors import TrainingError
from seriatim.models.opening import open_generator
from seriatim.progress import Progress
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import FILE
from seriatim.sampling import Sampling
from seriatim.training.minidag.task import problems
from seriatim.training.reflection.attempts import Attempt, Task
from seriatim.training.reflection.config import MineConfig
from seriatim.training.reflection.decontamination import decontaminated
from seriatim.training.reflection.grounded import answered
from seriatim.training.reflection.injection import injected
from seriatim.training.reflection.mining import mine
from seriatim.training.reflection.segments import Example, write_examples
from seriatim.training.reflection.traces import traces
from seriatim.training.reflection.verifiers.calculator import calculator, gold_answer, gold_steps
from seriatim.training.reflection.verifiers.minidag import minidag

T = TypeVar("T")

GSM8K = """Work in this order:
1. Inside <thinking>, first make a plan between <plan> and </plan>. Do not solve it yet.
2. Then solve it, one calculation a line, each written as <<48/2=24>>.
3. Close with </thinking>, then give the number alone between <output> and </output>."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a maker's run came to: the file, how many examples are in it, what became of the responses, and how many
    questions shared so many words in a row with a benchmark."""

    file: Path
    examples: int
    responses: dict[str, int]
    contaminated: dict[int, int]


def make(config: MineConfig, progress: Progress | None = None) -> Made:
    """Make examples as `config` says, and write them. Raises `UsageError` and `ModelError` as the model's opening does,
    `TrainingError` where data cannot be read or nothing came of it."""
    counts: Counter[str] = Counter()
    examples = list(_examples(config, counts, progress))
    benchmark = [row["question"] for file in config.task.benchmarks for row in _rows(config.folder / file)]
    clean = decontaminated(examples, benchmark, config.task.words)
    if not clean.kept:
        raise TrainingError(f"no example came of it ({dict(counts)}); take more problems or samples, or another model")
    out = config.folder / config.out
    write_examples(out, clean.kept)
    return Made(out, len(clean.kept), dict(counts), clean.hits)


def _examples(config: MineConfig, counts: Counter[str], progress: Progress | None) -> Iterator[Example]:
    if config.task.name == "library":
        yield from _about_documents(config, counts, progress)
        return
    maker = config.maker
    tasks = islice(_tasks(config), maker.problems)
    if maker.maker == "injection":
        rng = random.Random(maker.seed)
        for task, right in _shown(tasks, maker.problems, progress):
            example = injected(task, right, rng)
            counts["injected" if example else "no calculation"] += 1
            if example:
                yield example
        return
    sampling = Sampling(temperature=maker.temperature, seed=maker.seed)
    with closing(open_generator(_model(config))) as generator:
        asked = (task for task, _ in _shown(tasks, maker.problems, progress))
        if maker.maker == "traces":
            yield from traces(
                asked, generator, samples=maker.samples, sampling=sampling, max_tokens=maker.max_tokens, counts=counts
            )
        else:
            yield from mine(
                asked, generator, samples=maker.samples, sampling=sampling, max_tokens=maker.max_tokens,
                confirm=maker.confirm, counts=counts,
            )  # fmt: skip


def _about_documents(config: MineConfig, counts: Counter[str], progress: Progress | None) -> Iterator[Example]:
    """Examples from the questions about a library's own documents."""
    maker, task = config.maker, config.task
    folder = config.folder / task.library
    if not (folder / FILE).exists():
        raise TrainingError(f"there is no library in {folder}; make it with: seriatim add PATH --library {folder}")
    rows = islice(_rows(config.folder / task.data), maker.problems)
    with Library(folder) as library, closing(open_generator(_model(config), passage_tokens=task.tokens)) as generator:
        asked = (library.search(row["question"], tokens=task.tokens) for row in _shown(rows, maker.problems, progress))
        yield from answered(
            asked, generator, samples=maker.samples, max_tokens=maker.max_tokens, counts=counts,
            sampling=Sampling(temperature=maker.temperature, seed=maker.seed),
        )  # fmt: skip


def _model(config: MineConfig) -> str:
    beside = config.folder / config.maker.model
    return str(beside) if beside.exists() else config.maker.model


def _tasks(config: MineConfig) -> Iterator[tuple[Task, Attempt]]:
    """The tasks, each with the right attempt that the data give."""
    settings = config.task
    if settings.name == "minidag":
        rng = random.Random(f"mine {config.maker.seed}")
        for problem in problems(rng, range(1, settings.operations + 1), "train", modulus=settings.modulus):
            task = Task(
                problem.prompt, minidag(problem), "minidag", settings.system, lambda _wrong, right, _verdict: right
            )
            yield task, Attempt(problem.plan, tuple(problem.steps), problem.answer)
        return
    for row in _rows(config.folder / settings.data):
        gold = gold_answer(row["answer"])
        system = settings.system or GSM8K
        yield (
            Task(row["question"], calculator(gold), "calculator", system),
            Attempt("", gold_steps(row["answer"]), gold),
        )


def _rows(file: Path) -> Iterator[dict[str, str]]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("question"), str):
                    raise TrainingError(f"{file}, line {number}: there is no question in it")
                yield row
    except (OSError, ValueError) as error:
        raise TrainingError(f"the problems cannot be read from {file}: {error}") from error


def _shown(tasks: Iterator[T], total: int, progress: Progress | None) -> Iterator[T]:
    for done, each in enumerate(tasks):
        if progress:
            progress("problems", done, total)
        yield each
