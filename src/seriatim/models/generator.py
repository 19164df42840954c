"""The one interface behind which every language model stands."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from seriatim.errors import ModelError
from seriatim.sampling import GREEDY, Sampling

# About four passages: what a model of 1.5B parameters keeps in view, read in less than half the time of ten.
_SMALL, _SMALL_SPAN_TOKENS = 3_000_000_000, 448


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a generation cost: tokens, and seconds of reading the prompt and of writing.

    `cached_tokens` of the `prompt_tokens` were already in the model's cache and cost nothing.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a streamed generation.

    `reasoning` marks text that an endpoint streams apart as the model's reasoning. The last piece, and only it,
    has a `finish_reason` ("stop": the model ended or a stop string came; "length": the token limit was met)
    and a `usage`. The stop string itself is never part of the text.
    """

    text: str = ""
    reasoning: bool = False
    finish_reason: Literal["stop", "length"] | None = None
    usage: Usage | None = None


class Generator(Protocol):
    """A language model. Implementations: `llamacpp.LlamaCpp`, `olmoe.NativeOlmoe`, `endpoint.Endpoint`."""

    @property
    def name(self) -> str:
        """The model's name as shown to people."""

    @property
    def context_tokens(self) -> int:
        """The most tokens that prompt and completion may hold together."""

    @property
    def span_tokens(self) -> int:
        """How many tokens of passages the model reads well at once; a small one loses the thread long before its
        context is full."""

    def count_tokens(self, text: str) -> int:
        """How many tokens the model makes of `text` (an upper estimate where the tokenizer is out of reach)."""

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Piece]:
        """Stream the assistant's next turn.

        `prefix` is text with which the assistant's turn already begins: the model continues right after it, and it
        is not repeated in the stream. Closing the iterator cancels the generation.
        Raises `ModelError` where the model cannot be reached or the prompt does not fit.
        """

    def close(self) -> None:
        """Free the model's memory."""


@runtime_checkable
class Scorer(Protocol):
    """A language model that tells how probable it finds a text's next token. Implementations: `llamacpp.LlamaCpp`,
    `olmoe.NativeOlmoe`."""

    def next_token_logprobs(self, text: str, continuations: Sequence[str]) -> list[float]:
        """The natural logarithm of the probability of each of `continuations` right after `text`.

        `text` is no conversation: no chat template is laid around it. Raises `ModelError` where a continuation is not
        a single token there, or the text does not fit.
        """


def single_tokens(encode: Callable[[str], list[int]], text: str, continuations: Sequence[str]) -> list[int]:
    """The token that each of `continuations` is behind `text`. Raises `ModelError` where it is not one token."""
    before = encode(text)
    longer = [encode(text + each) for each in continuations]
    for each, ids in zip(continuations, longer, strict=True):
        if len(ids) != len(before) + 1 or ids[:-1] != before:
            raise ModelError(f"{each!r} is not a single token of this model, and cannot be compared by its next token")
    return [ids[-1] for ids in longer]


def span_tokens(parameters: int, context_tokens: int) -> int:
    """The `Generator.span_tokens` of a model with so many parameters."""
    return min(context_tokens, _SMALL_SPAN_TOKENS) if parameters < _SMALL else context_tokens
