"""The main job, end to end: question → passages → prompt → plan, thinking, draft, check, reflection → answer."""

import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Unpack

from seriatim.documents.document import page_at
from seriatim.documents.sources import Named, listed
from seriatim.errors import DocumentError, ModelError, UsageError
from seriatim.models.generator import Generator, Message, Usage
from seriatim.models.opening import open_generator
from seriatim.progress import Progress
from seriatim.reflection import grounding, phases
from seriatim.reflection.events import Event
from seriatim.reflection.grounding import Citation
from seriatim.reflection.phases import Budgets, Outcome
from seriatim.reflection.prompts import DIRECT, REFLECTIVE, REFUSAL, conversation
from seriatim.retrieval.asked import library_for
from seriatim.retrieval.budget import Tokens, ceiling
from seriatim.retrieval.context import Context, Ranked, passage_dict
from seriatim.retrieval.library import DEFAULT_TOKENS, Library, SearchOptions, check_request
from seriatim.retrieval.ranking import Effort
from seriatim.retrieval.selection import Order
from seriatim.sampling import Sampling

DEFAULT_BUDGETS = Budgets()
# Small models repeat themselves without end when nothing discourages it.
GREEDY = Sampling(temperature=0.0, repeat_penalty=1.1)


class AskOptions(SearchOptions, total=False):
    """How a question is answered: how passages are searched for, and what the model does with them; `answer` has the
    defaults."""

    reflect: bool
    budgets: Budgets
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds spent on finding passages, on the model's reading, and on its writing."""

    retrieve_s: float
    prefill_s: float
    generate_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A question's answer and all that led to it.

    `complete` is False where the model's output was cut off at its budget. `answered` is False where the passages do
    not hold the answer: `answer` then says so. `citations` refer to `context.passages` by number, from 1. The model
    read the passages of `context` down to `deepest_rank`; a small one whose draft holds leaves out the rest.
    """

    question: str
    answer: str
    answered: bool
    complete: bool
    plan: str
    thinking: str
    reflections: tuple[str, ...]
    citations: tuple[Citation, ...]
    context: Context
    deepest_rank: int
    model: str
    usage: Usage
    timings: Timings

    def to_dict(self) -> dict[str, object]:
        """The `ask --json` contract."""
        return {
            "question": self.question,
            "answer": self.answer,
            "answered": self.answered,
            "complete": self.complete,
            "plan": self.plan,
            "thinking": self.thinking,
            "reflections": list(self.reflections),
            "citations": [asdict(citation) for citation in self.citations],
            "passages": [
                {**passage_dict(each), "read": each.rank <= self.deepest_rank} for each in self.context.passages
            ],
            "tokens": self.context.tokens,
            "model": self.model,
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
            },
            "timings": asdict(self.timings),
        }


def answer(
    question: str,
    library: Library,
    generator: Generator,
    *,
    documents: Named | None = None,
    tokens: Tokens = DEFAULT_TOKENS,
    passages: int | None = None,
    order: Order = "document",
    effort: Effort = "balanced",
    reflect: bool = True,
    budgets: Budgets = DEFAULT_BUDGETS,
    sampling: Sampling = GREEDY,
    progress: Progress | None = None,
) -> Iterator[Event]:
    """Answer `question` from `library`, as a stream of events; the last one is the `Answer`.

    Retrieval options are those of `Library.search`. With `reflect` the model plans, thinks and corrects what the check
    of its draft finds; without, it answers at once. Raises `SeriatimError` subclasses.
    """
    started = time.perf_counter()
    yield Event("stage", "retrieve")
    context = library.search(
        question, documents=documents, tokens=tokens, passages=passages, order=order, effort=effort, progress=progress
    )
    instruction = REFLECTIVE if reflect else DIRECT
    found = len(context.passages)
    context, messages = fitted(context, generator, instruction, budgets)
    if len(context.passages) < found:
        library.notes.append(
            f"{generator.name} holds {generator.context_tokens} tokens: there was room for the best "
            f"{len(context.passages)} of {found} passages"
        )
    # Now, for a document may be removed while it is answered from.
    pages = {name: library.page_starts(name) for name in {each.passage.document for each in context.passages}}
    retrieved = time.perf_counter() - started
    yield Event("passages", data=context)
    ranks = _ranks_to_read(context, budgets.first_look or generator.span_tokens)
    looks = [*(conversation(context, instruction, rank) for rank in ranks[:-1]), messages]
    run = phases.reflective if reflect else phases.direct
    outcome = yield from run(looks, context, generator, budgets, sampling)
    yield Event("stage", "answer")
    finished = _finished(outcome, context, ranks[outcome.looks - 1], generator.name, retrieved)
    citations = tuple(replace(each, page=page_at(pages[each.document], each.start)) for each in finished.citations)
    finished = replace(finished, citations=citations)
    yield Event("output", finished.answer)
    yield Event("answer", data=finished)


def ask(
    question: str,
    documents: Named,
    *,
    library: str | Path | None = None,
    model: str | Path | Generator | None = None,
    **options: Unpack[AskOptions],
) -> Answer:
    """Answer `question` from `documents`: files, folders or globs, indexed first where they are new and kept in the
    library, or "-" for standard input, which is not kept. Raises `DocumentError` where one of them gives no document.

    `library` is the folder of the library to use, `model` a name, the path of a `.gguf` file or of an OLMoE
    checkpoint's folder, a URL or an open `Generator`; further options as in `answer`. Raises `UsageError` for a request
    that makes no sense, other `SeriatimError` subclasses for what fails.
    """
    _check_request(question, model, options)
    paths = listed(documents)
    with library_for(paths, library) as opened:
        report = opened.add(paths)
        if report.missing or not report.documents:
            raise DocumentError("; ".join(report.failures) or "no documents were given")
        return ask_library(question, opened, model=model, documents=report.documents, **options)


def ask_library(
    question: str,
    library: Library,
    *,
    model: str | Path | Generator | None = None,
    documents: Named | None = None,
    **options: Unpack[AskOptions],
) -> Answer:
    """Answer `question` from an open library, with a model that is open already or is opened by name for this call."""
    _check_request(question, model, options)
    if model is None or isinstance(model, str | Path):
        generator = open_generator(
            None if model is None else str(model), passage_tokens=ceiling(options.get("tokens", DEFAULT_TOKENS))
        )
    else:
        generator = model
    try:
        *_, last = answer(question, library, generator, documents=documents, **options)
    finally:
        if generator is not model:
            generator.close()
    result: Answer = last.data
    return result


def _check_request(question: str, model: object, options: AskOptions) -> None:
    """Raise `UsageError` for a request that makes no sense, before documents are indexed and a model is opened."""
    known = AskOptions.__annotations__
    if unknown := [name for name in options if name not in known]:
        raise UsageError(f"ask has no option {', '.join(unknown)}; its options are {', '.join(known)}")
    if not (model is None or isinstance(model, str | Path) or hasattr(model, "stream")):
        raise UsageError(f"the model is a name, a path, a URL or a Generator, not {model!r}")
    for name, kind in (("budgets", Budgets), ("sampling", Sampling)):
        if not isinstance(options.get(name, kind()), kind):
            raise UsageError(f"{name} must be a {kind.__module__}.{kind.__name__}, not {options.get(name)!r}")
    if not isinstance(options.get("reflect", True), bool):
        raise UsageError(f"reflect is True or False, not {options.get('reflect')!r}")
    retrieval = {name: value for name, value in options.items() if name in SearchOptions.__annotations__}
    check_request(question, **retrieval)


def fitted(context: Context, generator: Generator, instruction: str, budgets: Budgets) -> tuple[Context, list[Message]]:
    """`context` less the least relevant passages that the model has no room for, and the messages over it."""
    room = generator.context_tokens - budgets.total
    kept = context
    while True:
        messages = conversation(kept, instruction)
        needed = generator.count_tokens("\n".join(message.content for message in messages))
        if needed <= room:
            return kept, messages
        if len(kept.passages) < 2:
            raise ModelError(
                f"{generator.name} holds {generator.context_tokens} tokens, too few for a question over even one "
                "passage; choose a model with a longer context"
            )
        # Drop in one go what the excess suggests, so that a long context does not take many rounds.
        share = max(1, int(len(kept.passages) * (1 - room / needed))) if room > 0 else len(kept.passages) - 1
        kept = _without_worst(kept, min(share, len(kept.passages) - 1))


def _ranks_to_read(context: Context, span: int) -> list[int]:
    """The deepest rank of each look at `context`: first the best passages that hold at most `span` tokens, then all."""
    ranked = sorted(context.passages, key=lambda each: each.rank)
    sums = list(accumulate(each.passage.tokens for each in ranked))
    within = max(1, bisect_right(sums, span))
    return sorted({ranked[within - 1].rank, ranked[-1].rank}) if ranked else [0]


def _without_worst(context: Context, count: int) -> Context:
    worst: set[int] = {each.rank for each in sorted(context.passages, key=lambda each: -each.rank)[:count]}
    kept: tuple[Ranked, ...] = tuple(each for each in context.passages if each.rank not in worst)
    return Context(context.question, kept, sum(each.passage.tokens for each in kept))


def _finished(outcome: Outcome, context: Context, deepest_rank: int, model: str, retrieve_s: float) -> Answer:
    draft = outcome.draft
    unfounded = draft.doubted or (
        not draft.refused and draft.faults > 0 and not any(each.supported for each in draft.grounding.citations)
    )
    text = grounding.cited_answer(draft.text, draft.grounding)
    if draft.empty:
        text = "The model gave no answer."
    elif draft.refused:
        text = REFUSAL
    elif unfounded:
        text = f"{REFUSAL} The model's own words, which no passage bears out: {text}"
    return Answer(
        question=context.question,
        answer=text,
        answered=not draft.empty and not draft.refused and not unfounded,
        complete=draft.finished and not draft.empty,
        plan=outcome.plan,
        thinking=outcome.thinking,
        reflections=outcome.reflections,
        citations=draft.grounding.citations,
        context=context,
        deepest_rank=deepest_rank,
        model=model,
        usage=outcome.usage,
        timings=Timings(retrieve_s, outcome.usage.prefill_s, outcome.usage.decode_s),
    )
