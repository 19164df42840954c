"""What the documents room hands on: a text with exact offsets, and the passages it is cut into."""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """A source as text.

    `name` identifies it (the resolved path, or "-" for standard input). `sha256` is of the source's bytes.
    `page_starts` holds the character offset at which each page begins, page 1 first; it is empty for
    formats without pages. `guessed_encoding` is that of plain text where it was not certain. Offsets everywhere count
    Python characters (code points) in `text`.
    """

    name: str
    text: str
    sha256: str
    page_starts: tuple[int, ...] = ()
    guessed_encoding: str | None = None

    def page_at(self, offset: int) -> int | None:
        """The page (from 1) that holds the character at `offset`; None without pages."""
        return page_at(self.page_starts, offset)


def page_at(page_starts: tuple[int, ...], offset: int) -> int | None:
    """The page (from 1) of `offset`, given where each page starts; None without pages."""
    return max(1, bisect_right(page_starts, offset)) if page_starts else None


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document: `document_text[start:end] == text`, always.

    The passages of a document, in the order of `index` (from 0), partition its text: nothing is lost
    and nothing overlaps.
    """

    document: str
    index: int
    start: int
    end: int
    page: int | None
    text: str
    tokens: int
