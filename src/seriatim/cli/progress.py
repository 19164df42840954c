"""Progress on standard error: a bar on a terminal, a rare line elsewhere, nothing at all for what is quick."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, TextIO

from seriatim.cli.literal import line
from seriatim.cli.screen import can_redraw
from seriatim.progress import Bytes

if TYPE_CHECKING:
    from rich.progress import Progress

Update = Callable[[str, int, int], None]

PATIENCE_S = 1.0
LINE_EVERY_S = 10.0


@contextmanager
def progress_bar(label: str, *, file: TextIO | None = None) -> Iterator[Update]:
    """Yield `update(what, done, total)`: `what` names the thing at hand, of which `done` of `total` are through.

    A `total` of 0 means that the end is not known; one of `Bytes` is shown in megabytes. On a terminal a bar appears
    after one second; elsewhere a line is printed at most every ten seconds. Either says how much time is left, where
    that can be told.
    """
    file = sys.stderr if file is None else file
    if can_redraw(file):
        with _bar(label, file) as update:
            yield update
    else:
        yield _lines(label, file)


@contextmanager
def _bar(label: str, file: TextIO) -> Iterator[Update]:
    bar = _rich_bar(file)
    task = bar.add_task(label, total=None, what="", count="")
    # A timer and not the next update starts the bar: the slow thing may be the one before the first update.
    timer = Timer(PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()

    def update(what: str, done: int, total: int) -> None:
        bar.update(task, what=line(what), count=count(done, total), completed=done, total=total or None)

    try:
        yield update
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _rich_bar(file: TextIO) -> "Progress":
    from rich import progress as rich_progress
    from rich.console import Console
    from rich.table import Column

    console = Console(file=file, highlight=False)
    ellipsis = Column(no_wrap=True, overflow="ellipsis")
    wide = console.width >= 60
    columns: list[rich_progress.ProgressColumn] = [
        rich_progress.TextColumn("{task.description}", markup=False, style="bold"),
        rich_progress.BarColumn(bar_width=24 if wide else 8),
        rich_progress.TextColumn("{task.fields[count]}", markup=False),
    ]
    if wide:
        columns += [rich_progress.TimeRemainingColumn(compact=True)]
    columns += [rich_progress.TextColumn("{task.fields[what]}", markup=False, style="dim", table_column=ellipsis)]
    return rich_progress.Progress(*columns, console=console, transient=True)


def count(done: int, total: int) -> str:
    """How far a thing has come, bytes in megabytes; empty where the end is not known."""
    if isinstance(total, Bytes) and total:
        return f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB"
    return f"{done:,} of {total:,}" if total else ""


def time_left(seconds: float) -> str:
    """A duration in two units at most: 40 s, 12 min, 3 h 20 min, 2 d 4 h."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"


def _lines(label: str, file: TextIO) -> Update:
    last = time.monotonic()
    begun: tuple[float, int, int] | None = None
    """When the thing at hand was first told of, how much of it was done then, and of how much."""

    def update(what: str, done: int, total: int) -> None:
        nonlocal last, begun
        now = time.monotonic()
        if begun is None or total != begun[2] or done < begun[1]:
            begun = now, done, total
        if now - last < LINE_EVERY_S:
            return
        last = now
        told = " ".join(filter(None, (label.lower(), count(done, total))))
        if total and done > begun[1]:
            told += f", {time_left((now - begun[0]) * (total - done) / (done - begun[1]))} left"
        print("seriatim:", told + (": " if total else " ") + line(what), file=file, flush=True)

    return update
