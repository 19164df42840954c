"""OpenAI's API, as far as its clients need it: models, chat and plain completions, embeddings.

A library is a model named `seriatim/LIBRARY`; any other name is a bare model. Reasoning goes out as both
`reasoning_content` (DeepSeek, vLLM, llama.cpp) and `reasoning` (OpenRouter, Ollama), for clients look for either.
"""

import json
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request

from seriatim.models.generator import Message
from seriatim.server import responses
from seriatim.server.completing import PREFIX, Delta, Finish, Turn, chat, written
from seriatim.server.errors import NotFound, error_body, told
from seriatim.server.events import COMMENT, EventStream, unless_gone
from seriatim.server.openai_requests import ChatRequest, CompletionRequest, EmbeddingRequest
from seriatim.server.queue import Place
from seriatim.server.services import Client, Services, ServicesHere

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], responses=responses.ERRORS)
_STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


@router.get("/models")
def models(services: ServicesHere) -> dict[str, object]:
    """Libraries and models that can be asked."""
    return {"object": "list", "data": [_model(name) for name in _names(services)]}


@router.get("/models/{model:path}")
def model(model: str, services: ServicesHere) -> dict[str, object]:
    """One of them."""
    if model not in _names(services):
        raise NotFound(f"there is no model {model[:80]!r}; GET /v1/models lists those that can be asked")
    return _model(model)


@router.post("/chat/completions", response_model=None, responses=_STREAMED)
async def chat_completions(
    body: ChatRequest, request: Request, services: ServicesHere, client: Client
) -> EventStream | dict[str, object]:
    """The next turn of a conversation, whole or streamed."""
    turn = await chat(services, body, client)
    head = _head("chatcmpl", "chat.completion", body.model)
    if body.stream:
        return await EventStream.begun(_chat_chunks(turn, head, with_usage=body.with_usage))
    text, reasoning, finish = await unless_gone(request, _collected(turn))
    message = {"role": "assistant", "content": text, "refusal": None, **finish.extra}
    if reasoning:
        message |= {"reasoning_content": reasoning, "reasoning": reasoning}
    choice = {"index": 0, "message": message, "finish_reason": finish.reason, "logprobs": None}
    return {**head, "choices": [choice], "usage": finish.usage()}


@router.post("/completions", response_model=None, responses=_STREAMED)
async def completions(
    body: CompletionRequest, request: Request, services: ServicesHere, client: Client
) -> EventStream | dict[str, object]:
    """What a bare model says to a prompt, which it gets as a user's message."""
    if body.model.startswith(PREFIX):
        raise NotFound(f"{body.model} is a library and holds conversations only; use /v1/chat/completions")
    turn = written(services, [Message("user", body.text)], body, client)
    head = _head("cmpl", "text_completion", body.model)
    if body.stream:
        return await EventStream.begun(_text_chunks(turn, head, with_usage=body.with_usage))
    text, _, finish = await unless_gone(request, _collected(turn))
    choice = {"index": 0, "text": text, "finish_reason": finish.reason, "logprobs": None}
    return {**head, "choices": [choice], "usage": finish.usage()}


@router.post("/embeddings")
async def embeddings(body: EmbeddingRequest, request: Request, services: ServicesHere) -> dict[str, object]:
    """Unit vectors of texts, by an embedder of the catalogue or by "static"."""
    vectors, tokens = await unless_gone(request, services.embeddings.embed(body.model, body.texts, body.dimensions))
    encoded: Callable[[Any], object] = vectors.encoded if body.encoding_format == "base64" else vectors.numbers
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encoded(index)} for index in range(len(body.texts))
        ],
        "model": body.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _names(services: Services) -> list[str]:
    return [*(PREFIX + name for name in services.libraries.names()), *services.models.names()]


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "seriatim"}


def _head(prefix: str, kind: str, model: str) -> dict[str, object]:
    return {"id": f"{prefix}-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


async def _collected(turn: Turn) -> tuple[str, str, Finish]:
    """A whole turn: its content, its reasoning, its end."""
    texts: dict[bool, list[str]] = {False: [], True: []}
    finish: Finish | None = None
    async with aclosing(turn):
        async for each in turn:
            if isinstance(each, Delta):
                texts[each.reasoning].append(each.text)
            elif isinstance(each, Finish):
                finish = each
    assert finish is not None  # a turn has an end, or raises
    return "".join(texts[False]).strip(), "".join(texts[True]).strip(), finish


async def _chat_chunks(turn: Turn, head: dict[str, object], *, with_usage: bool) -> AsyncGenerator[str, None]:
    head = {**head, "object": "chat.completion.chunk"}

    def choice(delta: dict[str, object], reason: str | None = None) -> dict[str, object]:
        return {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}

    def of_delta(delta: Delta) -> dict[str, object]:
        if delta.reasoning:
            return choice({"reasoning_content": delta.text, "reasoning": delta.text})
        return choice({"content": delta.text})

    def of_finish(finish: Finish) -> dict[str, object]:
        return choice(dict(finish.extra), finish.reason)

    role = _data({**head, "choices": [choice({"role": "assistant", "content": ""})]})
    async for piece in _chunks(turn, head, role, of_delta, of_finish, with_usage=with_usage):
        yield piece


async def _text_chunks(turn: Turn, head: dict[str, object], *, with_usage: bool) -> AsyncGenerator[str, None]:
    def choice(text: str, reason: str | None = None) -> dict[str, object]:
        return {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}

    def of_delta(delta: Delta) -> dict[str, object] | None:
        return None if delta.reasoning else choice(delta.text)

    def of_finish(finish: Finish) -> dict[str, object]:
        return choice("", finish.reason)

    async for piece in _chunks(turn, head, COMMENT, of_delta, of_finish, with_usage=with_usage):
        yield piece


async def _chunks(
    turn: Turn,
    head: dict[str, object],
    first: str,
    of_delta: Callable[[Delta], dict[str, object] | None],
    of_finish: Callable[[Finish], dict[str, object]],
    *,
    with_usage: bool,
) -> AsyncGenerator[str, None]:
    is_in = False
    try:
        async with aclosing(turn):
            async for each in turn:
                if isinstance(each, Place):
                    yield COMMENT if is_in else first
                    is_in = True
                elif isinstance(each, Finish):
                    yield _data({**head, "choices": [of_finish(each)]})
                    if with_usage:
                        yield _data({**head, "choices": [], "usage": each.usage()})
                elif (choice := of_delta(each)) is not None and each.text:
                    yield _data({**head, "choices": [choice]})
    except Exception as error:
        if not is_in:
            raise
        yield _data(error_body(*told(error)))
    else:
        yield "data: [DONE]\n\n"


def _data(chunk: dict[str, object]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"
