"""What the native HTTP API answers with, for its OpenAPI description.

Short answers are checked against these as they go out. Passages and answers are not, which would cost more than to find
them, and an answer may have been kept by an earlier version; the tests check those.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Queue(_Response):
    running: int
    waiting: int


class Opening(_Response):
    """A model that is fetched, or converted, before it can be opened."""

    what: str
    done: int
    total: int


class Health(_Response):
    status: Literal["ok"]
    version: str
    model: str
    opening: Opening | None
    queue: Queue


class ModelInfo(_Response):
    name: str
    summary: str
    bytes: int
    present: bool
    default: bool


class LibraryInfo(_Response):
    name: str
    documents: int
    passages: int
    bytes: int
    error: str | None


class DocumentInfo(_Response):
    id: str
    name: str
    characters: int
    tokens: int
    pages: int | None
    passages: int
    added: str


class ReadDocument(_Response):
    """A document that an answer was read from, as it was then."""

    id: str
    name: str
    characters: int
    pages: int | None


class Text(_Response):
    text: str
    start: int
    end: int
    length: int


class Page(_Response):
    page: int
    start: int
    end: int


class JobName(_Response):
    id: str
    name: str


class Jobs(_Response):
    jobs: list[JobName]


class JobInfo(JobName):
    library: str
    state: Literal["waiting", "reading", "done", "failed", "cancelled"]
    done: int
    total: int
    error: str | None
    document: str | None


class Passage(_Response):
    document: str
    document_id: str
    index: int
    start: int
    end: int
    page: int | None
    rank: int
    score: float
    text: str


class Found(_Response):
    question: str
    passages: list[Passage]
    tokens: int


class Citation(_Response):
    passage: int
    document: str
    document_id: str
    start: int
    end: int
    page: int | None
    quote: str
    supported: bool


class ReadPassage(Passage):
    read: bool


class Usage(_Response):
    prompt_tokens: int
    completion_tokens: int


class Timings(_Response):
    retrieve_s: float
    prefill_s: float
    generate_s: float


class AnswerInfo(_Response):
    id: str
    library: str
    question: str
    answer: str
    created: str
    via: Literal["http", "openai", "mcp"]


class Answer(AnswerInfo):
    after: str | None
    answered: bool
    complete: bool
    plan: str
    thinking: str
    drafts: list[str]
    reflections: list[str]
    citations: list[Citation]
    passages: list[ReadPassage]
    documents: list[ReadDocument]
    tokens: int
    model: str
    usage: Usage
    timings: Timings
    notes: list[str]


class Fault(_Response):
    message: str
    type: str
    param: str | None
    code: str


class Error(_Response):
    """Every error, whatever its status."""

    error: Fault


ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": Error, "description": "What is wrong, and what to do"}}
