"""What of a passage is ranked: its words, without the tags of markup among them, whole and in pieces."""

import re

from seriatim.documents.document import Document
from seriatim.documents.passages import cut

PIECE_TOKENS = 40
"""About a sentence or two: small enough that one fact is not drowned by its neighbours."""

_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]{0,200})?/?>")


def content(text: str) -> str:
    """`text` without tags of HTML or XML, which a plain text may hold, and which say nothing."""
    return " ".join(_TAG.sub(" ", text).split()) if "<" in text and _TAG.search(text) else text


def pieces(text: str, following: str = "") -> list[str]:
    """The content of a passage in pieces of at most `PIECE_TOKENS` tokens, cut between sentences; never none.

    The last piece is filled up from the `following` passage: the end of one passage and the beginning of the next are
    read together once, and no piece is a mere remainder.
    """
    end = len(text.rstrip())
    found = cut(Document("", text + following, ""), size=PIECE_TOKENS).passages
    return [content(piece.text) for piece in found if piece.start < end] or [""]
