"""Server-sent events: how a stream is written, kept alive, and closed when whoever listens is gone."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Self, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from seriatim.server.errors import ClientGone

T = TypeVar("T")
PING_S = 15.0
COMMENT = ": still here\n\n"
"""What says nothing, and shows that somebody is there."""


def event(name: str, data: object) -> str:
    """One event; JSON has no line ends, so no text can end an event or begin another."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


class EventStream(StreamingResponse):
    """A response of server-sent events. Its source is closed as soon as the client is gone.

    A comment is sent after 15 seconds of silence, so that proxies keep the connection.
    """

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[str, None], first: str) -> None:
        self._source = source
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(pinged(source, first), headers=headers)

    @classmethod
    async def begun(cls, source: AsyncGenerator[str, None]) -> Self:
        """The stream of a source whose first piece has come: what fails before that has an HTTP status of its own."""
        return cls(source, await anext(source))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._source), aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().__call__(scope, receive, send)


async def pinged(source: AsyncIterator[str], first: str, every_s: float = PING_S) -> AsyncGenerator[str, None]:
    """`first`, and the rest of `source` with a comment wherever it is silent for long."""
    following: asyncio.Future[str] | None = None
    try:
        yield first
        while True:
            following = asyncio.ensure_future(anext(source))
            while not (await asyncio.wait([following], timeout=every_s))[0]:
                yield COMMENT
            try:
                piece = following.result()
            except StopAsyncIteration:
                return
            yield piece
    finally:
        if following is not None and not following.done():
            following.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await following


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What `work` gives, cancelled as soon as the client of `request` is gone. Raises `ClientGone` then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request.receive))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone("the client is gone")
        return task.result()
    finally:
        for each in (task, gone):
            if not each.done():
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each


async def _disconnected(receive: Callable[[], Awaitable[object]]) -> None:
    while True:
        message = await receive()
        if isinstance(message, dict) and message.get("type") == "http.disconnect":
            return
