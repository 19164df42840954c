"""A question to a library, from the queue to the kept answer. The APIs differ only in how they tell of it."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

from seriatim.answering import Answer, answer
from seriatim.reflection.events import Event
from seriatim.retrieval.budget import Tokens
from seriatim.retrieval.context import Context
from seriatim.retrieval.library import Library, check_request
from seriatim.retrieval.ranking import Effort
from seriatim.retrieval.selection import Order
from seriatim.server import documents
from seriatim.server.errors import told
from seriatim.server.events import COMMENT, event
from seriatim.server.models import Cancellable
from seriatim.server.queue import Place
from seriatim.server.services import Services

_EARLIER_CHARACTERS = 600
_CUT_SHORT = "the server was stopped before the answer was complete"
_TEXTS = ("plan", "thinking", "draft", "output")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a library. `documents` are the names of those asked, None for all; `after` is the id of the
    answer that it follows, and `earlier` what was asked and answered before; `via` is the interface that was used."""

    text: str
    library: str
    model: str
    tokens: Tokens = 1024
    order: Order = "document"
    effort: Effort = "balanced"
    reflect: bool = True
    documents: tuple[str, ...] | None = None
    after: str | None = None
    earlier: tuple[str, str] | None = None
    via: Literal["http", "openai", "mcp"] = "http"

    @property
    def in_full(self) -> str:
        """The question with what it follows, for retrieval and for the model: "and his sister?" alone finds nothing."""
        if self.earlier is None:
            return self.text
        question, answered = (" ".join(each.split())[:_EARLIER_CHARACTERS] for each in self.earlier)
        return f'{self.text} (asked after "{question}", to which the answer was: {answered})'


async def checked(services: Services, question: Question, ids: Sequence[str] | None = None) -> Question:
    """`question`, put to the documents with these ids or to all. Raises what can be known to be wrong before the answer
    begins, so that it has an HTTP status of its own."""
    check_request(question.text, tokens=question.tokens, order=question.order, effort=question.effort)

    def named(library: Library) -> tuple[str, ...] | None:
        names = documents.names_of(library, ids)
        library.check_asked(names)
        return None if names is None else tuple(names)

    return replace(question, documents=await services.libraries.run(question.library, named))


async def steps(services: Services, question: Question, client: str) -> AsyncGenerator[Place | Event, None]:
    """The steps of an answer, at once its place in the queue; the last one is the `answer` event, whose `data` is the
    answer as it is kept: the `ask --json` contract with `id`, `created`, `library`, `after` and `via`, with `drafts`,
    which show what each reflection changed, and with the `documents` that were read, as they were then.

    Closing the iterator cancels the generation. Raises `SeriatimError`.
    """

    def work(generator: Cancellable) -> Iterator[Event]:
        library = services.libraries.opened(question.library)
        drafts: list[str] = []
        read: list[dict[str, object]] = []
        for step in answer(
            question.in_full,
            library,
            generator,
            documents=question.documents,
            tokens=question.tokens,
            order=question.order,
            effort=question.effort,
            reflect=question.reflect,
            progress=generator.go_on,
        ):
            if step.kind == "passages":
                read = documents.read_in(library, step.data)
            if step.kind == "stage" and step.text == "draft":
                drafts.append("")
            elif step.kind == "draft":
                drafts[-1] += step.text
            if step.kind == "answer":
                more = {"via": question.via, "drafts": drafts, "documents": read}
                step = replace(step, data=_kept(services, question, library, step.data, more, generator.cut_short))
            yield step

    async with aclosing(services.queue.stream(client, question.model, work)) as stream:
        async for step in stream:
            yield step
            if step == Place(0) and not services.models.is_open(question.model):
                yield Event("stage", "load")
    services.metrics.answers.inc()


def _kept(
    services: Services,
    question: Question,
    library: Library,
    finished: Answer,
    more: Mapping[str, object],
    cut_short: bool,
) -> dict[str, Any]:
    """The answer as it is kept: before anybody hears of it, for what was once shown is not lost."""
    whole = {**_public(finished), **more, "question": question.text, "notes": [*library.notes]}
    if cut_short:
        whole |= {"complete": False, "notes": [*library.notes, _CUT_SHORT]}
    services.metrics.count_tokens(finished.usage)
    with services.libraries.staying(question.library, library):
        return services.history.keep(question.library, whole, after=question.after)


async def event_stream(services: Services, question: Question, client: str) -> AsyncGenerator[str, None]:
    """The answer as server-sent events; what fails once it is in the queue is the last of them."""
    is_in = False
    try:
        async with aclosing(steps(services, question, client)) as stream:
            async for step in stream:
                is_in = True
                for each in _events(step):
                    yield each
    except Exception as error:
        if not is_in:
            raise
        message, kind = told(error)
        yield event("error", {"message": message, "type": kind})


def _events(step: Place | Event) -> Iterator[str]:
    if isinstance(step, Place):
        yield event("stage", {"name": "queue", "place": step.ahead}) if step.ahead else COMMENT
    elif step.kind == "stage":
        yield event("stage", {"name": step.text, "place": None})
    elif step.kind == "passages":
        yield event("passages", public_context(step.data))
    elif step.kind == "reflection":
        yield event("reflection", {"text": step.text, "segment": step.segment})
    elif step.kind in _TEXTS:
        yield event(step.kind, {"text": step.text})
    elif step.kind == "answer":
        for number, citation in enumerate(step.data["citations"], 1):
            yield event("citation", {**citation, "number": number})
        yield event("usage", step.data["usage"])
        yield event("answer", step.data)


def public_context(context: Context) -> dict[str, Any]:
    """The `search --json` contract, with documents by label and id."""
    found: dict[str, Any] = context.to_dict()
    return {**found, "passages": [documents.shown(each) for each in found["passages"]]}


def _public(finished: Answer) -> dict[str, Any]:
    whole: dict[str, Any] = finished.to_dict()
    return {**whole, **{name: [documents.shown(each) for each in whole[name]] for name in ("passages", "citations")}}
