"""One live line on standard error that says what is being waited for, and for how long."""

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from seriatim.cli.literal import line
from seriatim.cli.progress import count
from seriatim.cli.screen import can_redraw, shows_unicode

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER = "|/-\\"
_PER_SECOND = 8
_LEAST_TAIL = 10


class Status(AbstractContextManager["Status"]):
    """A line with a label and the seconds since `say` said it.

    Whoever writes to the same terminal hushes it first. A terminal that cannot redraw gets the label alone, a pipe
    nothing.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._able = can_redraw(file)
        self._unicode = shows_unicode(file)
        self._label = self._tail = ""
        self._since = 0.0
        self._live: Live | None = None
        self._columns = 80

    def say(self, label: str) -> None:
        """Show `label`; the seconds count from here."""
        label = line(label if self._unicode else label.replace("…", "..."))
        if label == self._label:
            return
        self._label, self._tail, self._since = label, "", time.monotonic()
        if self._able and self._live is None:
            self._live = self._open()
            self._live.start(refresh=True)
        elif not self._able and self._file.isatty():
            print(self._label, file=self._file, flush=True)

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far a thing has come, where the line is up; the seconds go on counting."""
        self._label = " ".join(filter(None, (line(what), count(done, total))))

    def trail(self, text: str) -> None:
        """Show the end of `text` behind the label, as much as there is room for."""
        self._tail = line(text)

    def hush(self) -> None:
        """Take the line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._label = self._tail = ""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hush()

    def __enter__(self) -> Self:
        return self

    def _open(self) -> "Live":
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._file, highlight=False)
        self._columns = console.width
        return Live(get_renderable=self._render, console=console, refresh_per_second=_PER_SECOND, transient=True)

    def _render(self) -> "Text":
        from rich.text import Text

        waited = time.monotonic() - self._since
        frames = _SPINNER if self._unicode else _ASCII_SPINNER
        frame = frames[int(waited * _PER_SECOND) % len(frames)]
        text = Text(f"{frame} ", style="cyan", no_wrap=True, overflow="ellipsis")
        text.append(self._label, style="dim")
        if waited >= 1:
            text.append(f" {waited:.0f} s", style="bold")
        room = self._columns - text.cell_len - 1
        if self._tail and room > _LEAST_TAIL:
            tail = Text(self._tail, style="dim italic")
            text.append(" ")
            text.append_text(tail[max(0, tail.cell_len - room) :])
        return text
