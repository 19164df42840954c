"""How long a connection is waited for."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(*, header_s: float, unread_s: float) -> type[asyncio.Protocol]:
    """The protocol of a server that waits so many seconds for a request's head, and for a client to take something of
    its answer."""
    return type("Patient", (_Patient,), {"header_s": header_s, "unread_s": unread_s})


class _Patient(H11Protocol):
    """uvicorn's, which waits for ever for a request that never ends, and for a client that reads nothing of its answer,
    with a clock for each."""

    header_s: float
    unread_s: float
    _clock: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._calm()
        self._read()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _watch(self) -> None:
        """Start the clock where a head is awaited, and stop it where one has come; bytes alone do not move it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._calm()
        elif self._clock is None:
            self._clock = self.loop.call_later(self.header_s, self.transport.abort)

    def _calm(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
