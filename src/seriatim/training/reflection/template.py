"""One template for training and serving: what is asked, as the model's tokenizer lays it out, and the response as plain
text with the protocol's tags.

The tags are those of `seriatim.reflection.tags`, which `ask` opens and closes. They are ordinary text: a
pretrained model needs no new embeddings for them, and nothing that strips special tokens can take them away.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from seriatim.models.generator import Message
from seriatim.reflection.parser import escape_tags
from seriatim.reflection.tags import CLOSING, OPENING, OUTPUT, PLAN, REFLECTION

Role = Literal["plan", "step", "error", "reflection", "output"]
ROLES: tuple[Role, ...] = ("plan", "step", "error", "reflection", "output")

_TAGGED = {"plan": PLAN, "reflection": REFLECTION}


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a response. `text` is without tags; with `train` False the model reads it and is not taught to write
    it, which is meant for the wrong steps that a reflection puts right."""

    text: str
    role: Role
    train: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of a response as it is tokenised, and whether it is learned from. `role` is None for the template's own."""

    text: str
    train: bool
    role: Role | None = None


def conversation(question: str, system: str = "", instruction: str = "") -> list[Message]:
    """The messages before a response. Tags in the question are made harmless, so that it can open or close none;
    `system` and `instruction`, which stands behind the question, are ours, and may explain them."""
    turns = [Message("system", system)] if system else []
    asked = escape_tags(question)
    return [*turns, Message("user", f"{asked}\n{instruction}" if instruction else asked)]


def pieces(segments: Sequence[Segment]) -> Iterator[Piece]:
    """A response, piece by piece. Tags are always learned, also the one that opens a reflection which is not: to open
    it is to have noticed the mistake."""
    yield Piece(OPENING, True)
    for segment in segments:
        if segment.role == "output":
            yield from (Piece(CLOSING, True), Piece(OUTPUT[0], True))
            yield from (Piece(segment.text, segment.train, "output"), Piece(OUTPUT[1], True))
        elif segment.role in _TAGGED:
            opening, closing = _TAGGED[segment.role]
            yield from (Piece(opening, True), Piece(segment.text, segment.train, segment.role), Piece(closing, True))
        else:
            yield Piece(f"{segment.text}\n", segment.train, segment.role)


def response(segments: Iterable[Segment]) -> str:
    """The response as one text."""
    return "".join(piece.text for piece in pieces(tuple(segments)))
