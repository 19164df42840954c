"""What a reasoning benchmark is: its problems, how a reader is to give an answer, and how answers are judged."""

import gzip
import hashlib
import json
import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.datasets import distinct, json_lines, reason
from seriatim.evaluation.hub import fetched_file

Way = Literal["at once", "step by step", "in output"]
"""Where a reader gives its answer: it says nothing else; after its reasoning; in the protocol's `<output>`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem as a reader sees it, and its right answer: `references`, as the task judges by them.

    `subject` is what a benchmark sorts its problems by. `shots` are worked examples of the same subject, for the task
    that shows some.
    """

    id: str
    text: str
    references: tuple[str, ...]
    subject: str = ""
    shots: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Scores of one answer, 0 or 1: as it can be understood, and `strict` where it had to be given in one form.

    `error` says what was wrong with code.
    """

    score: float
    strict: float
    error: str = ""


WRONG = Judgement(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What a check found: `kept` is the reasoning that may stand, `found` says in plain words what is wrong."""

    kept: str
    found: str


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Where a task's data is on the hub: a repository, a revision that does not move, and its files by split."""

    repository: str
    revision: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ReasoningTask:
    """A benchmark.

    `asked` says for each way what the reader is to do. `problems` makes problems of the data's rows, and raises
    `KeyError`, `TypeError` or `ValueError` for one that is none. `final` cuts the answer out of step-by-step reasoning,
    None where it is missing. `judge` scores an answer; `vote` is what two answers that say the same have in common,
    None for one that says nothing. `check` looks for a fault in reasoning and answer without knowing the right one;
    None for a task that has nothing to check by. `output_tokens` are kept free for the answer, of `tokens` in all.
    """

    name: str
    about: str
    file: str
    hub: HubFiles
    asked: Mapping[Way, str]
    problems: Callable[[Sequence[dict[str, Any]]], list[Problem]]
    final: Callable[[str, Problem], str | None]
    judge: Callable[[str, Problem], Judgement]
    vote: Callable[[str, Problem], str | None]
    check: Callable[[str, str, Problem], Fault | None] | None
    tokens: int
    output_tokens: int
    runs_code: bool = False


@dataclass(frozen=True, slots=True)
class Problems:
    """A task's problems, and the SHA-256 of what they say, which is the same from whichever file they came."""

    problems: tuple[Problem, ...]
    sha256: str

    def draw(self, limit: int | None, seed: int) -> "Problems":
        """At most `limit` of them, drawn at random but in their order; a larger limit with the same seed adds to a
        smaller one."""
        drawn = random.Random(seed).sample(range(len(self.problems)), len(self.problems))[:limit]
        return replace(self, problems=tuple(self.problems[place] for place in sorted(drawn)))


def read_problems(task: ReasoningTask, path: Path) -> Problems:
    """The task's problems in `path`: a JSONL file, which may be gzipped, or a folder that holds the task's `file`.

    Raises `UsageError` where there is none, `SeriatimError` for data that has not the task's form.
    """
    file = _in_folder(task, path) if path.is_dir() else path
    try:
        raw = file.read_bytes()
        data = gzip.decompress(raw) if file.suffix == ".gz" else raw
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SeriatimError(f"{file} is damaged ({error}): fetch it again") from error
    except OSError as error:
        raise UsageError(f"the data of {task.name} cannot be read from {file}: {error.strerror}") from error
    return _made(task, [row for _, row in json_lines(data, file)], str(file))


def fetched_problems(task: ReasoningTask, progress: Callable[[str, int, int], None] | None = None) -> Problems:
    """The task's problems from the hub.

    Raises `UsageError` without pyarrow, `SeriatimError` where they cannot be had."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UsageError(
            f"{task.name} comes from the hub as Parquet: pip install 'seriatim[eval]', or give --data"
        ) from error
    rows: list[dict[str, Any]] = []
    for split, name in task.hub.files.items():
        hint = f"give {task.file} with --data (docs/reasoning.md says where else it is)"
        file = fetched_file(task.hub.repository, task.hub.revision, name, hint, progress)
        try:
            rows += [row | {"split": split} for row in parquet.read_table(file).to_pylist()]
        except (OSError, ArrowException) as error:
            raise SeriatimError(f"{file} is no Parquet file, or damaged; remove it to fetch it again") from error
    return _made(task, rows, task.hub.repository)


def _made(task: ReasoningTask, rows: Sequence[dict[str, Any]], source: str) -> Problems:
    try:
        problems = task.problems(rows)
    except (KeyError, TypeError, ValueError) as error:
        raise SeriatimError(f"{source} is not data of {task.name} ({reason(error)})") from error
    if not problems:
        raise UsageError(f"{source} holds no problem of {task.name}")
    distinct([each.id for each in problems], source)
    told = json.dumps([asdict(each) for each in problems], sort_keys=True).encode()
    return Problems(tuple(problems), hashlib.sha256(told).hexdigest())


def after_marker(text: str, _problem: Problem) -> str | None:
    """What follows the last "Answer:" on its line, without Markdown's asterisks, or stands in a later "\\boxed{}", as
    models tuned on mathematics close in spite of what they are asked; None where neither says anything."""
    found = re.findall(r"\\boxed\{([^{}]*)\}|answer:(.*)", text.replace("*", ""), re.IGNORECASE)
    if not found:
        return None
    boxed, said = found[-1]
    inside = re.search(r"\\boxed\{([^{}]*)\}", said)
    return str(inside[1] if inside else said or boxed).strip() or None


def _in_folder(task: ReasoningTask, folder: Path) -> Path:
    names = (task.file, f"{task.file}.gz")
    return next((folder / name for name in names if (folder / name).exists()), folder / task.file)
