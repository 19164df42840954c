"""A maker's run: tasks → decontaminated → examples → a file."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from seriatim.arithmetic import number_in
from seriatim.errors import TrainingError, UsageError
from seriatim.models.generator import Generator
from seriatim.models.opening import open_generator
from seriatim.programs.sandbox import require
from seriatim.progress import Progress
from seriatim.reflection.prompts import PROTOCOL
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import FILE
from seriatim.sampling import Sampling
from seriatim.training.data import jsonl
from seriatim.training.minidag.task import problems
from seriatim.training.reflection.attempts import Attempt, Task
from seriatim.training.reflection.config import MineConfig
from seriatim.training.reflection.decontamination import decontaminated
from seriatim.training.reflection.drafts import Asked, about_code, about_passages, answered
from seriatim.training.reflection.injection import injected
from seriatim.training.reflection.mining import mine
from seriatim.training.reflection.responses import recorded
from seriatim.training.reflection.segments import Example, write_examples
from seriatim.training.reflection.traces import traces
from seriatim.training.reflection.verifiers.calculator import calculator, gold_answer, gold_steps
from seriatim.training.reflection.verifiers.minidag import minidag

T = TypeVar("T")

_NUMBER = (
    "\nThe output is the final number alone."  # as evaluation asks, so that a tuned model is asked as it was taught
)


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
    benchmark = [_question(row) for file in config.task.benchmarks for _, row in _rows(config.folder / file)]
    counts: Counter[str] = Counter()
    if config.task.name in ("library", "code"):
        drafts = decontaminated(_asked(config), benchmark, words, question=lambda each: each.example.question)
        hits, asked = drafts.hits, len(drafts.kept)
        examples = list(_of_drafts(config, _shown(drafts.kept, progress), out, counts))
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


def _of_drafts(config: MineConfig, asked: Iterator[Asked], out: Path, counts: Counter[str]) -> Iterator[Example]:
    maker = config.maker
    passage_tokens = config.task.tokens if config.task.name == "library" else 0
    with _model(config, out, passage_tokens=passage_tokens) as generator:
        yield from answered(
            asked, generator, samples=maker.samples, max_tokens=maker.max_tokens, confirm=maker.confirm, counts=counts,
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


def _asked(config: MineConfig) -> list[Asked]:
    """What is answered at once: questions about a library's own documents, or functions to complete."""
    rows = islice(_rows(config.folder / config.task.data), config.maker.problems)
    if config.task.name == "code":
        require()
        return [
            about_code(*(_text(row, name, where) for name in ("prompt", "entry_point", "test"))) for where, row in rows
        ]
    folder = (config.folder / config.task.library).resolve()
    if not (folder / FILE).exists():
        raise TrainingError(f"there is no library in {folder}; make it with: seriatim add PATH --library {folder}")
    questions = [_text(row, "question", where) for where, row in rows]
    with Library(folder) as library:
        return [about_passages(library.search(each, tokens=config.task.tokens)) for each in questions]


def _tasks(config: MineConfig) -> Iterator[tuple[Task, Attempt]]:
    """The tasks, each with the right attempt that the data give."""
    settings = config.task
    if settings.name == "minidag":
        rng = random.Random(f"mine {config.maker.seed}")
        for problem in problems(rng, range(1, settings.operations + 1), "train", modulus=settings.modulus):
            task = Task(
                problem.prompt, minidag(problem), "minidag", settings.system,
                reflection=lambda _wrong, right, _verdict: right,
            )  # fmt: skip
            yield task, Attempt(problem.plan, tuple(problem.steps), problem.answer)
        return
    for where, row in _rows(config.folder / settings.data):
        question, answer = _text(row, "question", where), row.get("answer")
        if not isinstance(answer, str) or number_in(gold_answer(answer)) is None:
            raise TrainingError(f"{where}: there is no answer in it that ends in a number")
        gold = gold_answer(answer)
        task = Task(question, calculator(gold), "calculator", settings.system or PROTOCOL, _NUMBER)
        yield task, Attempt("", gold_steps(answer), gold)


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file of questions or of functions, each with its place."""
    try:
        with file.open(encoding="utf-8") as lines:
            for place, line in enumerate(lines, start=1):
                where = f"{file}, line {place}"
                try:
                    row = jsonl.row(line)
                except ValueError as error:
                    raise TrainingError(f"{where}: {error}") from error
                if not isinstance(_question(row), str):
                    raise TrainingError(f"{where}: there is no question in it, and no prompt")
                yield where, row
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"the problems cannot be read from {file}: {error}") from error


def _question(row: dict[str, Any]) -> Any:
    return row.get("question", row.get("prompt"))


def _text(row: dict[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise TrainingError(f"{where}: there is no {name} in it")
    return value


def _shown(tasks: Sequence[T], progress: Progress | None) -> Iterator[T]:
    for done, each in enumerate(tasks):
        if progress:
            progress("problems", done, len(tasks))
        yield each
