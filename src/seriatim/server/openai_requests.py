"""What OpenAI's API is sent: https://platform.openai.com/docs/api-reference. Fields that are not here are ignored, as
clients send many that say nothing; those that ask for what cannot be done are refused."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from seriatim.models.generator import Message
from seriatim.server.settings import COMPLETION_TOKENS

_TEXT_CHARACTERS = 1_000_000

Text = Annotated[str, Field(max_length=_TEXT_CHARACTERS)]
ModelName = Annotated[str, Field(max_length=200)]


class Part(BaseModel):
    """A part of a message; text is the only kind that can be read here."""

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """A message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[Part] | None = None

    @property
    def text(self) -> str:
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "\n".join(part.text for part in self.content)

    def to_message(self) -> Message:
        return Message("system" if self.role == "developer" else self.role, self.text)


class StreamOptions(BaseModel):
    include_usage: bool = False


class Sampled(BaseModel):
    """What chat and plain completions have in common."""

    model: ModelName
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: (
        Annotated[str, Field(max_length=500)]
        | Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=16)]
        | None
    ) = None
    n: Literal[1] | None = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def most_tokens(self) -> int:
        return min(self.max_tokens or 1024, COMPLETION_TOKENS)

    @property
    def with_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(Sampled):
    """`/v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None
    logit_bias: dict[str, float] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None

    @field_validator("logprobs", "logit_bias", "frequency_penalty", "presence_penalty")
    @classmethod
    def _has_no_effect(cls, value: Any) -> Any:
        if value:
            raise ValueError("this has no effect here; leave it out")
        return value

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if self.tool_choice not in (None, "auto", "none") or (self.tools and self.tool_choice != "none"):
            raise ValueError("no tools are called here; leave tools and tool_choice out")
        if self.response_format is not None and self.response_format.get("type", "text") != "text":
            raise ValueError("only text is written here; leave response_format out")
        return self

    @property
    def most_tokens(self) -> int:
        return min(self.max_completion_tokens or self.max_tokens or 1024, COMPLETION_TOKENS)


class CompletionRequest(Sampled):
    """`/v1/completions`."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=1)]
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None
    logprobs: Literal[0] | None = None
    best_of: Literal[1] | None = None

    @property
    def text(self) -> str:
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]


class EmbeddingRequest(BaseModel):
    """`/v1/embeddings`."""

    model: ModelName
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, int) or (isinstance(first, list) and first and isinstance(first[0], int)):
            raise ValueError(
                "token ids are not read here, send text; in LangChain set check_embedding_ctx_length=False"
            )
        return value

    @field_validator("input")
    @classmethod
    def _says_something(cls, value: str | list[str]) -> str | list[str]:
        if not all(text.strip() for text in ([value] if isinstance(value, str) else value)):
            raise ValueError("an empty text has no vector; leave it out")
        return value

    @field_validator("encoding_format", mode="before")
    @classmethod
    def _default(cls, value: object) -> object:
        return "float" if value is None else value

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input
