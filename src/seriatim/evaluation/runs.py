"""Put a task's questions to a reader, over passages in the order of one arm, at several budgets.

Main path: `run` → for each question and budget not asked yet: `_context` → `_generation` → a row.
"""

import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import seriatim
from seriatim.documents.document import Document
from seriatim.documents.passages import Splitting
from seriatim.documents.tokens import count_tokens
from seriatim.errors import ModelError, UsageError
from seriatim.evaluation import cache, records
from seriatim.evaluation.arms import Arm, arranged, as_text, middle_truncated
from seriatim.evaluation.coverage import coverage, stands_in
from seriatim.evaluation.datasets import Dataset
from seriatim.evaluation.generation import Reader, generation
from seriatim.evaluation.tasks import PROMPT_VERSION, SYSTEM, Question, Task
from seriatim.files import sha256
from seriatim.home import home
from seriatim.machine import cores
from seriatim.models.generator import Generator
from seriatim.models.opening import reader_path
from seriatim.progress import Progress
from seriatim.retrieval import embedders, store
from seriatim.retrieval.context import Ranked
from seriatim.retrieval.library import Library
from seriatim.retrieval.ranking import Effort
from seriatim.sampling import GREEDY


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_Asked = TypeVar("_Asked", bound=_Named)

CLOSED_BOOK_TOKENS = 0
_LAYOUT_TOKENS = 64  # what a chat template adds


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run asks. `tokens` are the budgets of passages; the documents are joined to at least `stitch_words`
    words each where that is given."""

    task: Task
    arm: Arm
    tokens: tuple[int, ...]
    effort: Effort = "balanced"
    splitting: Splitting = "sentences"
    embedder: str | None = None
    limit: int | None = None
    seed: int = 0
    stitch_words: int | None = None

    @property
    def searches(self) -> bool:
        """Whether passages are searched for: the whole document needs no search, no document neither."""
        return self.arm not in ("full", "closed")

    @property
    def ranked_by(self) -> str | None:
        """The dense embedder that ranks passages, named even where it is the default: a run must not go on without
        it on a machine that lacks it."""
        return None if self.effort == "fast" or not self.searches else self.embedder or embedders.DEFAULT


def run(
    plan: Plan, dataset: Dataset, reader: Generator | None, identity: str, path: Path, progress: Progress | None = None
) -> records.Run:
    """Ask what the run in the folder `path` has not asked yet, a row a question and budget.

    Without a `reader` only the passages are judged. `identity` tells the reader from every other one. A run that was
    stopped, even killed, goes on where it was. Raises as `records.opened` does, and `ModelError` where the reader
    fails; what was asked until then is kept.
    """
    if reader is None and not plan.searches:
        raise UsageError(f"without a reader there is nothing to judge in the order {plan.arm}; name one with --reader")
    if reader is None and plan.task.metric == "accuracy":  # the letter of a choice is no evidence to look for
        raise UsageError(f"without a reader there is nothing to judge in {plan.task.name}; name one with --reader")
    if plan.stitch_words:  # before the limit: a larger one must ask the same questions over the same documents
        dataset = dataset.draw(None, plan.seed).stitch(plan.stitch_words)
    drawn = dataset.draw(plan.limit, plan.seed)
    budgets = (CLOSED_BOOK_TOKENS,) if plan.arm == "closed" else tuple(sorted(set(plan.tokens)))
    wanted = [(question, tokens) for tokens in budgets for question in drawn.questions]
    with (
        records.opened(path, _settings(plan, dataset, reader, identity)) as (rows, file),
        _library(plan, drawn) if plan.searches else nullcontext() as kept,
    ):
        for question, tokens in missing(wanted, rows, progress):
            try:
                row = _ask(plan, question, tokens, drawn.documents[question.over], reader, identity, kept)
            except UsageError as error:
                raise UsageError(f"{question.id}, {tokens} tokens: {error}") from error
            records.append(file, row)
    return records.read_run(path)


def missing(
    wanted: Sequence[tuple[_Asked, int]],
    rows: Sequence[records.Row],
    progress: Progress | None = None,
    *,
    at_once: int = 1,
) -> Iterator[tuple[_Asked, int]]:
    """Of the `wanted` questions and budgets those that have no row yet; `progress` is told after each."""
    done = {(row["question_id"], row["tokens"]) for row in rows}
    left = [(question, tokens) for question, tokens in wanted if (question.id, tokens) not in done]
    started, before = time.monotonic(), 0
    for number, each in enumerate(left, start=1):
        yield each
        if progress:
            progress(_left(started, number - before, len(left) - number), len(wanted) - len(left) + number, len(wanted))
        if number == at_once:  # the first ones took what the reader and the library needed to begin
            started, before = time.monotonic(), number


def environment() -> dict[str, Any]:
    """What a run's settings say of where it was made."""
    machine = {"system": platform.platform(), "cores": cores(), "python": platform.python_version()}
    return {"seriatim": seriatim.__version__, "machine": machine}


def reader_identity(model: str) -> str:
    """What tells a reader from every other, on any machine: an address, or the SHA-256 of its file (a folder's files).

    A run can so be taken up on another machine, to which its folder was copied.
    """
    if "://" in model:
        return model
    path = reader_path(model)
    files = sorted(file for file in path.glob("*") if file.is_file()) if path.is_dir() else [path]
    try:
        return " ".join(f"{file.name}:{sha256(file)}" for file in files)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def _settings(plan: Plan, dataset: Dataset, reader: Generator | None, identity: str) -> dict[str, Any]:
    return {
        "task": plan.task.name, "metric": plan.task.metric, "order": plan.arm, "reader": reader and reader.name,
        "reader_identity": identity, "effort": plan.effort, "splitting": plan.splitting, "embedder": plan.ranked_by,
        "seed": plan.seed, "stitch_words": plan.stitch_words, "data_sha256": dataset.sha256,
        "prompt_version": PROMPT_VERSION, "system": SYSTEM, "prompt": plan.task.prompt,
        "max_tokens": plan.task.max_tokens, "sampling": asdict(GREEDY),
        "limit": plan.limit, "tokens": list(plan.tokens), **environment(),
    }  # fmt: skip


@contextmanager
def _library(plan: Plan, dataset: Dataset) -> Iterator[Library]:
    """A library with the documents, kept from one run to the next, since its dense vectors took time to make."""
    made_from: dict[str, Any] = {"data": dataset.sha256, "splitting": plan.splitting, "embedder": plan.ranked_by}
    made_from |= {"stitch": plan.stitch_words, "seriatim": seriatim.__version__, "format": store.FORMAT}
    folder = home() / "cache" / "evaluation" / cache.key_of(made_from)[:16]
    with Library(folder, embedder=plan.ranked_by, splitting=plan.splitting) as library:
        held = {info.name for info in library.documents()}
        for name, text in dataset.documents.items():
            if name not in held:
                library.add_document(Document(name, text, name))
        yield library


def _ask(
    plan: Plan,
    question: Question,
    tokens: int,
    document: str,
    reader: Generator | None,
    identity: str,
    library: Library | None,
) -> records.Row:
    started = time.perf_counter()
    passages, text = _context(plan, question, tokens, document, reader, library)
    retrieve_s = time.perf_counter() - started
    row: records.Row = {
        "question_id": question.id, "document": question.document, "tokens": tokens,
        "context_tokens": sum(each.passage.tokens for each in passages) if library else count_tokens(text),
        "passages": [[each.passage.index, each.rank] for each in passages],
        "references": list(question.references),
        "coverage": _coverage(plan, question, document, text), "retrieve_s": retrieve_s,
    }  # fmt: skip
    if reader is None:
        return row
    said, cached = generation(Reader(reader, identity), plan.task.messages(question, text), plan.task.max_tokens)
    prediction = said["prediction"]
    return row | said | {
        "cached": cached,
        "score": plan.task.score(prediction, question.references),
        "strict_score": plan.task.strict(prediction, question.references),
    }  # fmt: skip


def _context(
    plan: Plan, question: Question, tokens: int, document: str, reader: Generator | None, library: Library | None
) -> tuple[Sequence[Ranked], str]:
    """The passages in the order of the arm, and the text that the reader sees."""
    if plan.arm == "closed":
        return (), ""
    if library is None:
        return (), _that_fits(plan, question, middle_truncated(document, tokens), reader)
    found = library.search(
        question.text, documents=[question.over], tokens=tokens, order="relevance", effort=plan.effort
    )
    passages = arranged(found.passages, plan.arm, f"{plan.seed}/{question.id}")
    return passages, as_text(passages)


def _that_fits(plan: Plan, question: Question, text: str, reader: Generator | None) -> str:
    """`text`, shortened in the middle as far as the reader's own tokens and context call for."""
    room = reader.context_tokens - plan.task.max_tokens - _LAYOUT_TOKENS if reader else 0
    while reader and text:
        needed = sum(reader.count_tokens(message.content) for message in plan.task.messages(question, text))
        if needed <= room:
            break
        half = int(len(text) * min(0.99, room / needed)) // 2
        text = text[:half] + text[len(text) - half :]
    return text


def _coverage(plan: Plan, question: Question, document: str, text: str) -> float | None:
    """The evidence in `text`; None where no right answer stands in the document, or it is the letter of a choice."""
    standing = [] if plan.task.metric == "accuracy" else [a for a in question.references if stands_in(a, document)]
    return max((coverage(answer, text) for answer in standing), default=None)


def _left(started: float, done: int, left: int) -> str:
    seconds = (time.monotonic() - started) / done * left
    return f"about {seconds / 60:,.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
