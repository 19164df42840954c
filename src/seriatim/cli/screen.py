"""Where a command writes: a terminal with a width and styles, or a plain pipe without either."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

READING_WIDTH = 96
# The same wherever a passage shows: at its number in the answer, over its text, at its place in the strip.
READ_STYLE = "cyan"
CITED_STYLE = "bold green"
DOUBT_STYLE = "yellow"


@dataclass(frozen=True, slots=True)
class Screen:
    """A place to write to. `console` is None for a plain pipe: no styles, no wrapping, no Rich."""

    file: TextIO
    console: "Console | None" = None
    unicode: bool = True

    @property
    def width(self) -> int | None:
        """Columns to write in; None where lines should not be wrapped."""
        return max(20, self.console.width - 1) if self.console else None

    @property
    def text_width(self) -> int | None:
        """Columns for running text: the width, but no wider than reads well."""
        return min(self.width, READING_WIDTH) if self.width else None

    def write(self, text: str, style: str = "") -> None:
        """Write `text` as it stands, in a Rich `style` where there are styles. It must be literal already."""
        if not text:
            return
        if self.console:
            self.console.out(text, style=style or None, end="", highlight=False)
        else:
            self.file.write(text)
            self.file.flush()

    def glyph(self, unicode: str, ascii: str) -> str:
        """An ornament, or what stands for it where only ASCII can be shown."""
        return unicode if self.unicode else ascii


def open_screen(file: TextIO) -> Screen:
    """The screen behind `file`."""
    if not file.isatty():
        return Screen(file, None, shows_unicode(file))
    from rich.console import Console, ConsoleDimensions

    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if not can_redraw(file):  # Rich takes every dumb terminal to be 80 columns wide
        console.size = ConsoleDimensions(*os.get_terminal_size(file.fileno()))
    return Screen(file, console, shows_unicode(file))


def can_redraw(file: TextIO) -> bool:
    """Whether `file` is a terminal on which lines can be drawn again."""
    return file.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def shows_unicode(file: TextIO) -> bool:
    """Whether `file` takes Unicode and the locale does not plainly say otherwise."""
    locale = next(filter(None, (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    encoding = (getattr(file, "encoding", None) or "utf-8").lower()
    return encoding.startswith("utf") and locale.upper() not in {"C", "POSIX"}
