"""One queue for the one model: fair among clients, each told its place, and left at once by who goes away."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from seriatim.server.errors import STOPPING, Busy, Unavailable
from seriatim.server.models import Cancellable, Cancelled, Models
from seriatim.server.worker import Worker

T = TypeVar("T")
_WAKE_S = 0.1
_LEAVE_S = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """How many are ahead of a question, counting the one that runs; 0 once it is its turn."""

    ahead: int


@dataclass(slots=True, eq=False)
class _Ticket:
    """One who waits. Tickets are served by `round`, then by `number`: whoever has several waits a round for each, so
    that somebody with a hundred questions holds nobody else up."""

    client: str
    round: int
    number: int
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    started: bool = False
    refused: bool = False


@dataclass(slots=True, eq=False)
class _Work:
    """What the model is at: `generator` once it is open, `done` once it has begun. `gone` is set when nobody waits for
    it any more, `enough` when it is to end as it is."""

    gone: Event = field(default_factory=Event)
    enough: Event = field(default_factory=Event)
    generator: Cancellable | None = None
    done: Future[None] = field(default_factory=Future)

    def wake(self) -> None:
        """Wake the model, which may be on its way to sleep just now: until it is done, this is called again."""
        if self.generator is not None:
            self.generator.interrupt()


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class ModelQueue:
    """Runs work on the model in a thread of its own, one after another. All methods are called on the event loop."""

    def __init__(self, models: Models, *, most_waiting: int, most_per_client: int) -> None:
        self._models = models
        self._most_waiting, self._most_per_client = most_waiting, most_per_client
        self._thread = Worker("model")
        self._numbers = itertools.count()
        self._waiting: list[_Ticket] = []
        self._running: _Ticket | None = None
        self._at_work: _Work | None = None
        self._round = 0
        self._stopping = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return int(self._running is not None)

    async def stream(
        self, client: str, model: str, work: Callable[[Cancellable], Iterator[T]]
    ) -> AsyncGenerator[T | Place, None]:
        """The places in the queue, at once the first, then what `work` yields, given the model. Closing the iterator
        cancels it. Raises, before anything is yielded, `Busy` where there is no room for one more of this client, and
        `Unavailable` where the server stops."""
        ticket = self._enter(client)
        try:
            told: int | None = None
            while told != 0:
                if ticket.refused:
                    raise Unavailable(STOPPING)
                ticket.moved.clear()
                ahead = 0 if ticket is self._running else 1 + self._waiting.index(ticket)
                if ahead != told:
                    told = ahead
                    yield Place(ahead)
                if told:
                    await ticket.moved.wait()
            async with aclosing(self._run(ticket, model, work)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                self._tell()
            elif ticket is self._running and not ticket.started:
                self._leave()

    def stop(self) -> None:
        """Let nobody in any more, and send away who waits; the one that runs goes on, unless for its model to come."""
        self._stopping = True
        self._models.stop()
        for ticket in self._waiting:
            ticket.refused = True
            ticket.moved.set()
        self._waiting.clear()

    def finish(self) -> None:
        """Let the answer that runs end as if the model's budget were spent."""
        if self._at_work is not None:
            self._at_work.enough.set()
            _wake(self._at_work, asyncio.get_running_loop())

    def close(self, also: Callable[[], None]) -> None:
        """Cancel what still runs, then close the model and do `also`, in its thread. A model that does not end within
        5 s is left alone.

        The tasks that wait for it may have been cancelled just now, and the event loop, which this call holds up, has
        not told them yet.
        """
        deadline = time.monotonic() + _LEAVE_S
        if self._at_work is not None:
            self._at_work.gone.set()
            while not self._at_work.done.done() and time.monotonic() < deadline:
                self._at_work.wake()
                wait([self._at_work.done], timeout=_WAKE_S)
        self._thread.submit(self._models.close)
        self._thread.submit(also)
        if not self._thread.close(max(0.0, deadline - time.monotonic())):
            _log.warning("the model is still at work; it is left alone")

    def submit(self, work: Callable[[], object]) -> None:
        """Do something in the model's thread before what comes next, such as opening the model."""
        self._thread.submit(work)

    def _enter(self, client: str) -> _Ticket:
        if self._stopping:
            raise Unavailable(STOPPING)
        if len(self._waiting) >= self._most_waiting:
            raise Busy(f"{len(self._waiting)} questions are waiting already; ask again in a while")
        own = [ticket.round for ticket in self._waiting if ticket.client == client]
        if len(own) >= self._most_per_client:
            raise Busy(f"{self._most_per_client} of your questions are waiting already; ask again when one is done")
        if self._running is not None and self._running.client == client:
            own.append(self._running.round)
        ticket = _Ticket(client, max([self._round, *(each + 1 for each in own)]), next(self._numbers))
        if self._running is None:
            self._begin(ticket)
        else:
            self._waiting.append(ticket)
            self._waiting.sort(key=lambda each: (each.round, each.number))
            self._tell()
        return ticket

    def _begin(self, ticket: _Ticket) -> None:
        self._running, self._round = ticket, ticket.round

    def _tell(self) -> None:
        for ticket in self._waiting:
            ticket.moved.set()

    def _leave(self) -> None:
        self._running = None
        if self._waiting:
            following = self._waiting.pop(0)
            self._begin(following)
            following.moved.set()
            self._tell()

    async def _run(
        self, ticket: _Ticket, model: str, work: Callable[[Cancellable], Iterator[T]]
    ) -> AsyncGenerator[T, None]:
        outcomes: asyncio.Queue[T | _End] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self._at_work = at_work = _Work()
        at_work.done = self._thread.submit(
            lambda: self._produce(model, work, at_work, lambda each: _tell(loop, outcomes.put_nowait, each))
        )
        at_work.done.add_done_callback(lambda _: _tell(loop, self._leave))
        ticket.started = True
        try:
            while not isinstance(outcome := await outcomes.get(), _End):
                yield outcome
            if outcome.error is not None:
                raise outcome.error
        finally:
            at_work.gone.set()
            _wake(at_work, loop)

    def _produce(
        self, model: str, work: Callable[[Cancellable], Iterator[T]], at_work: _Work, tell: Callable[[T | _End], None]
    ) -> None:
        """Runs in the model's thread."""
        error: BaseException | None = None
        try:
            at_work.generator = Cancellable(self._models.open(model), at_work.gone, at_work.enough)
            for outcome in work(at_work.generator):
                tell(outcome)
        except Cancelled:
            error = Unavailable(STOPPING)  # else nobody hears it
        except BaseException as caught:
            error = caught
        tell(_End(error))


def _wake(at_work: _Work, loop: asyncio.AbstractEventLoop) -> None:
    if not at_work.done.done():
        at_work.wake()
        loop.call_later(_WAKE_S, _wake, at_work, loop)


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *values: object) -> None:
    """Call something on the event loop from another thread; nobody is left to hear it once the loop is closed."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *values)
