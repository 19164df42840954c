"""Running text that arrives in pieces, wrapped at words as it comes."""

import re

from seriatim.cli.literal import literal
from seriatim.cli.screen import CITED_STYLE, DOUBT_STYLE, Screen

_PIECES = re.compile(r"\n|[^\S\n]+|\S+")
_MARK = re.compile(r"(\[(?:\d+|unsupported)\])")
_NARROWEST = 8


class Flow:
    """A stretch of text on a screen; the pieces may split a word anywhere.

    Each line begins with `prefix`, the first one with `start` where given, which must be as wide. With `accents` the
    marks of citations stand out. No blank lines stand at the beginning or the end, and never two in a row.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        style: str = "",
        prefix: str = "",
        prefix_style: str = "",
        start: str | None = None,
        accents: bool = False,
    ) -> None:
        self._screen, self._style, self._prefix, self._prefix_style = screen, style, prefix, prefix_style
        self._start = prefix if start is None else start
        self._accents = accents
        self._width = max(_NARROWEST, screen.text_width - cells(prefix)) if screen.text_width else None
        self._word = ""  # the beginning of a word whose end has not come yet
        self._space = ""  # white space before the next word, held back until that word has its line
        self._breaks = 0  # line breaks held back
        self._indent = ""  # white space with which this line of the text begins
        self._column = 0  # cells written on this line, after the prefix
        self._begun = False

    def feed(self, text: str, style: str | None = None) -> None:
        """Write what is certain of `text`; its last word waits for its end. A `style` holds from here on."""
        if style is not None and style != self._style:
            self._end_word()
            self._style = style
        text, self._word = self._word + literal(text), ""
        for piece in _PIECES.findall(text):
            if piece == "\n":
                self._end_word()
                self._breaks += 1
                self._space = ""
            elif piece.isspace():
                self._end_word()
                self._space += piece.replace("\t", "    ")
            else:
                self._word = piece

    def close(self) -> bool:
        """Write what waits and end the line. Returns whether anything was written at all."""
        self._end_word()
        if self._begun:
            self._screen.write("\n")
        return self._begun

    def _end_word(self) -> None:
        word, self._word = self._word, ""
        if not word:
            return
        if self._breaks or not self._begun:
            self._start_line()
        for piece in _breakable(word, self._width):
            self._put(piece)

    def _start_line(self) -> None:
        if self._begun:
            self._screen.write("\n")
            if self._breaks > 1:
                self._screen.write(self._prefix.rstrip() + "\n", self._prefix_style)
            self._screen.write(self._prefix, self._prefix_style)
        else:
            self._space = ""
            self._screen.write(self._start, self._prefix_style)
        self._indent, self._column, self._breaks, self._begun = self._space, 0, 0, True

    def _put(self, piece: str) -> None:
        if self._width is not None:
            if self._column and self._column + cells(self._space + piece) > self._width:
                self._screen.write("\n")
                self._screen.write(self._prefix, self._prefix_style)
                self._space, self._column = self._indent, 0
            if cells(self._space + piece) > self._width:
                self._space = ""
            self._column += cells(self._space + piece)
        for place, part in enumerate(_MARK.split(piece) if self._accents else [piece]):
            accent = DOUBT_STYLE if part == "[unsupported]" else CITED_STYLE
            self._screen.write(part if place else self._space + part, accent if place % 2 else self._style)
        self._space = ""


def flow(screen: Screen, text: str, *, style: str = "", prefix: str = "") -> None:
    """Write a whole text at once."""
    running = Flow(screen, style=style, prefix=prefix)
    running.feed(text)
    running.close()


def cells(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _breakable(word: str, width: int | None) -> list[str]:
    """`word`, or its parts where it is longer than a line or in a script that breaks at any character."""
    if width is None or cells(word) == len(word) <= width:
        return [word]
    pieces: list[str] = []
    room = 0
    for character in word:
        size = cells(character)
        wide = size > 1 or (pieces and cells(pieces[-1][-1]) > 1 and size > 0)
        if not pieces or wide or size > room:
            pieces.append("")
            room = width
        pieces[-1] += character
        room -= size
    return pieces
