"""A turn of the assistant, whoever writes it: a bare model, or a library that is asked."""

import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from seriatim.answering import GREEDY
from seriatim.errors import ModelError, UsageError
from seriatim.models.generator import Message, Usage
from seriatim.reflection.events import Event
from seriatim.reflection.parser import ReflectionParser, merge
from seriatim.sampling import Sampling
from seriatim.server import asking
from seriatim.server.asking import Question
from seriatim.server.metrics import Metrics
from seriatim.server.models import Cancellable
from seriatim.server.openai_requests import ChatMessage, ChatRequest, Sampled
from seriatim.server.queue import Place
from seriatim.server.services import Services
from seriatim.server.settings import QUESTION_CHARACTERS

PREFIX = "seriatim/"
"""What the model name of a library begins with."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the turn, of its content or of the reasoning before it."""

    text: str
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of the turn. `extra` is what the message has beyond OpenAI's fields."""

    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def usage(self) -> dict[str, Any]:
        """OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


Turn = AsyncGenerator[Place | Delta | Finish, None]
"""Its places in the queue, its pieces, its end."""


async def chat(services: Services, request: ChatRequest, client: str) -> Turn:
    """The next turn of a conversation, checked before it begins. Raises `SeriatimError`."""
    if request.model.startswith(PREFIX):
        question = await asking.checked(services, _question(request, services))
        return _trimmed(_of_library(services, question, client))
    return written(services, [each.to_message() for each in request.messages], request, client)


def written(services: Services, messages: Sequence[Message], request: Sampled, client: str) -> Turn:
    """What a bare model writes; the tags of a model that reflects are taken out. Raises `SeriatimError`."""
    name = services.models.checked(request.model)

    def work(generator: Cancellable) -> Iterator[Delta | Finish]:
        return _written(generator, messages, request, services.metrics)

    return _trimmed(services.queue.stream(client, name, work))


async def _trimmed(turn: Turn) -> Turn:
    """`turn` without the line ends that stood between a tag and the first word of the reasoning."""
    begun = False
    async with aclosing(turn):
        async for each in turn:
            if isinstance(each, Delta) and each.reasoning and not begun:
                text = each.text.lstrip()
                begun = bool(text)
                if begun:
                    yield Delta(text, reasoning=True)
            else:
                yield each


def _written(
    generator: Cancellable, messages: Sequence[Message], request: Sampled, metrics: Metrics
) -> Iterator[Delta | Finish]:
    needed = generator.count_tokens("\n".join(message.content for message in messages)) + 16 * len(messages)
    if needed >= generator.context_tokens:
        raise UsageError(
            f"the prompt has about {needed} tokens, but {generator.name} holds {generator.context_tokens} for prompt "
            "and answer together; shorten the conversation"
        )
    most = min(request.most_tokens, generator.context_tokens - needed)
    parser = ReflectionParser()
    finished = False
    for piece in generator.stream(messages, stop=request.stops, max_tokens=most, sampling=sampling(request)):
        if piece.reasoning:
            yield Delta(piece.text, reasoning=True)
        else:
            yield from _untagged(merge(parser.feed(piece.text)))
        if piece.finish_reason is not None:
            usage = piece.usage or Usage()
            metrics.count_tokens(usage)
            yield from _untagged(merge(parser.close()))
            yield Finish(piece.finish_reason, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
            finished = True
    if not finished:
        raise ModelError(f"{generator.name} broke off before its answer was finished: ask again")


def _untagged(events: Sequence[Event]) -> Iterator[Delta]:
    for each in events:
        if each.kind in ("text", "output"):
            yield Delta(each.text)
        elif each.kind in ("plan", "thinking", "reflection"):
            yield Delta(each.text, reasoning=True)


async def _of_library(services: Services, question: Question, client: str) -> Turn:
    last = ("", 0)
    async with aclosing(asking.steps(services, question, client)) as steps:
        async for step in steps:
            if isinstance(step, Place):
                yield step
            elif step.kind in ("plan", "thinking", "reflection"):
                apart = "\n\n" if last[0] and last != (step.kind, step.segment) else ""
                last = (step.kind, step.segment)
                yield Delta(apart + step.text, reasoning=True)
            elif step.kind == "output":
                yield Delta(step.text)
            elif step.kind == "answer":
                whole = step.data
                yield Finish(
                    "stop" if whole["complete"] else "length",
                    whole["usage"]["prompt_tokens"],
                    whole["usage"]["completion_tokens"],
                    extra={"citations": whole["citations"], "answer_id": whole["id"]},
                )


def _question(request: ChatRequest, services: Services) -> Question:
    """The last thing the user said, put to a library; what was said before makes it a follow-up."""
    library = request.model.removeprefix(PREFIX)
    services.libraries.folder(library)
    asked = [number for number, each in enumerate(request.messages) if each.role == "user"]
    if not asked or not request.messages[asked[-1]].text.strip():
        raise UsageError("a library answers questions, and no message of the user holds one; send one")
    text = request.messages[asked[-1]].text
    if len(text) > QUESTION_CHARACTERS:
        raise UsageError(
            f"the question is longer than {QUESTION_CHARACTERS:,} characters; "
            "add long texts to the library, and ask about them"
        )
    return Question(
        text=text,
        library=library,
        model=services.models.default,
        reflect=request.reasoning_effort not in ("none", "minimal"),
        earlier=_earlier(request.messages[: asked[-1]]),
        via="openai",
    )


def _earlier(messages: Sequence[ChatMessage]) -> tuple[str, str] | None:
    """The last question and its answer."""
    answers = [number for number, each in enumerate(messages) if each.role == "assistant"]
    questions = [each.text for each in messages[: answers[-1]] if each.role == "user"] if answers else []
    return (questions[-1], messages[answers[-1]].text) if questions else None


def sampling(request: Sampled) -> Sampling:
    """How tokens are drawn; a request that does not say gets the most likely ones."""
    if not request.temperature:
        return GREEDY
    seed = secrets.randbits(32) if request.seed is None else request.seed % (1 << 63)
    return Sampling(temperature=request.temperature, top_p=request.top_p or 1.0, seed=seed)
