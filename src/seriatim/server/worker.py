"""A thread that does one thing after another."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Like an executor of one thread, except that the process can end while it is at work: a model that neither
    finishes nor can be woken must not keep a stopped server alive."""

    def __init__(self, name: str) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Do `call` once what was submitted before is done."""
        future: Future[T] = Future()

        def task() -> None:
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

        self._tasks.put(task)
        return future

    def close(self, within_s: float) -> bool:
        """Take no more, and wait until all is done; False where that takes longer."""
        self._tasks.put(None)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
