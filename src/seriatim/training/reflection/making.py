"""A maker's run: tasks → decontaminated → examples → a file."""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from seriatim.errors import TrainingError, UsageError
from seriatim.models.generator import Generator
from seriatim.models.opening import open_generator
from seriatim.progress import Progress
from seriatim.reflection.prompts import numbered
from seriatim.retrieval.context import Context
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
from seriatim.training.reflection.responses import recorded
from seriatim.training.reflection.segments import Example, write_examples
from seriatim.training.reflection.traces import traces
from seriatim.training.reflection.verifiers.calculator import calculator, gold_answer, gold_steps, number
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
    """Make examples as `config` says, and write them.

    What is asked is read, and checked, before a model is. The responses are kept beside the file as they come (see
    `responses`): a run that was stopped goes on, and makes the same file. Raises `UsageError` and `ModelError` as the
    model's opening does, `TrainingError` where data cannot be read or nothing came of it.
    """
    out, words = config.folder / config.out, config.task.words
    if out.is_dir():
        raise UsageError(f"out = {config.out} is a folder: name a file")
    benchmark = [row["question"] for file in config.task.benchmarks for _, row in _rows(config.folder / file)]
    counts: Counter[str] = Counter()
    if config.task.name == "library":
        contexts = decontaminated(_contexts(config), benchmark, words, question=_read_and_asked)
        hits, asked = contexts.hits, len(contexts.kept)
        examples = list(_about_documents(config, _shown(contexts.kept, progress), out, counts))
    else:
        tasks = decontaminated(
            islice(_tasks(config), config.maker.problems), benchmark, words, question=lambda each: each[0].question
        )
        hits, asked = tasks.hits, len(tasks.kept)
        examples = list(_examples(config, _shown(tasks.kept, progress), out, counts))
    if not examples:
        raise TrainingError(
            f"no example came of {asked} problems ({dict(counts)}); take more of them or of samples, or another model"
        )
    write_examples(out, examples)
    return Made(out, len(examples), dict(counts), hits)


def _examples(
    config: MineConfig, tasks: Iterator[tuple[Task, Attempt]], out: Path, counts: Counter[str]
) -> Iterator[Example]:
    maker = config.maker
    if maker.maker == "injection":
        rng = random.Random(maker.seed)
        for task, right in tasks:
            example = injected(task, right, rng)
            counts["injected" if example else "no calculation"] += 1
            if example:
                yield example
        return
    sampling = Sampling(temperature=maker.temperature, seed=maker.seed)
    asked = (task for task, _ in tasks)
    with _model(config, out) as generator:
        if maker.maker == "traces":
            yield from traces(
                asked, generator, samples=maker.samples, sampling=sampling, max_tokens=maker.max_tokens, counts=counts
            )
        else:
            yield from mine(
                asked, generator, samples=maker.samples, sampling=sampling, max_tokens=maker.max_tokens,
                confirm=maker.confirm, counts=counts,
            )  # fmt: skip


def _about_documents(
    config: MineConfig, contexts: Iterator[Context], out: Path, counts: Counter[str]
) -> Iterator[Example]:
    """Examples from the questions about a library's own documents."""
    maker = config.maker
    with _model(config, out, passage_tokens=config.task.tokens) as generator:
        yield from answered(
            contexts, generator, samples=maker.samples, max_tokens=maker.max_tokens, counts=counts,
            sampling=Sampling(temperature=maker.temperature, seed=maker.seed),
        )  # fmt: skip


@contextmanager
def _model(config: MineConfig, out: Path, *, passage_tokens: int = 0) -> Iterator[Generator]:
    """The model, what it answers kept beside `out`."""
    beside = config.folder / config.maker.model
    model = str(beside.resolve()) if beside.exists() else config.maker.model
    kept = out.with_name(f"{out.stem}.responses.jsonl")
    with (
        closing(open_generator(model, passage_tokens=passage_tokens)) as opened,
        recorded(opened, f"{model} {opened.name}", kept) as generator,
    ):
        yield generator


def _contexts(config: MineConfig) -> list[Context]:
    """The questions about a library's own documents, with the passages that they are asked over."""
    folder = (config.folder / config.task.library).resolve()
    if not (folder / FILE).exists():
        raise TrainingError(f"there is no library in {folder}; make it with: seriatim add PATH --library {folder}")
    rows = list(islice(_rows(config.folder / config.task.data), config.maker.problems))
    with Library(folder) as library:
        return [library.search(row["question"], tokens=config.task.tokens) for _, row in rows]


def _read_and_asked(context: Context) -> str:
    return f"{numbered(context)} {context.question}"


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
    for where, row in _rows(config.folder / settings.data):
        answer = row.get("answer")
        if not isinstance(answer, str) or number(gold_answer(answer)) is None:
            raise TrainingError(f"{where}: there is no answer in it that ends in a number")
        gold = gold_answer(answer)
        system = settings.system or GSM8K
        yield Task(row["question"], calculator(gold), "calculator", system), Attempt("", gold_steps(answer), gold)


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file of questions, each with its place."""
    try:
        with file.open(encoding="utf-8") as lines:
            for place, line in enumerate(lines, start=1):
                where = f"{file}, line {place}"
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise TrainingError(f"{where}: not JSON ({error})") from error
                if not isinstance(row, dict) or not isinstance(row.get("question"), str):
                    raise TrainingError(f"{where}: there is no question in it")
                yield where, row
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"the problems cannot be read from {file}: {error}") from error


def _shown(tasks: Sequence[T], progress: Progress | None) -> Iterator[T]:
    for done, each in enumerate(tasks):
        if progress:
            progress("problems", done, len(tasks))
        yield each
