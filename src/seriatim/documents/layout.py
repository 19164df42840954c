"""Laying text out as lines and paragraphs, the same way whatever format it came from."""

from collections.abc import Sequence

_SHORT_CELL = 200


class TextFlow:
    """Text that grows word by word: white space collapses to one space, lines and paragraphs end where told.

    A paragraph's end is one empty line. Ends are written only once more text follows, so that the text neither
    begins nor ends with white space, whatever empty elements the source holds.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._newlines = 0
        self._space = False

    def text(self) -> str:
        return "".join(self._parts)

    def words(self, data: str) -> None:
        """Append running text; its white space collapses."""
        if words := " ".join(data.split()):
            self._space = self._space or data[0].isspace()
            self._append(words)
            self._space = data[-1].isspace()
        elif data:
            self._space = True

    def block(self, text: str) -> None:
        """Append `text` as it is, as a paragraph of its own."""
        self.end_paragraph()
        self.line(text)
        self.end_paragraph()

    def line(self, text: str) -> None:
        """Append `text` as it is, as one or more lines of their own."""
        self.end_line()
        if text:
            self._append(text)
        self.end_line()

    def line_break(self) -> None:
        """End the line; two in a row leave an empty line."""
        self._newlines = min(2, self._newlines + 1)

    def end_line(self) -> None:
        self._newlines = max(1, self._newlines)

    def end_paragraph(self) -> None:
        self._newlines = 2

    def _append(self, text: str) -> None:
        if self._parts:
            self._parts.append("\n" * self._newlines or " " * self._space)
        self._parts.append(text)
        self._newlines, self._space = 0, False


def row_text(cells: Sequence[str]) -> str:
    """The cells of a table's row, on one line with " | " between them.

    Cells that hold long text of several lines are page layout, not data: they follow one another as paragraphs.
    """
    texts = [" ".join(cell.split()) if len(cell) <= _SHORT_CELL else cell for cell in cells]
    if any("\n" in text for text in texts):
        return "\n\n".join(text for text in texts if text)
    while texts and not texts[-1]:
        texts.pop()
    return " | ".join(texts)
