"""The arms of an experiment: what of a document the reader sees, and in which order."""

import random
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from seriatim.documents.passages import located_tokens
from seriatim.retrieval.context import Ranked
from seriatim.retrieval.selection import follows, in_reading_order

Arm = Literal["document", "relevance", "reversed", "shuffled", "ends", "full", "closed"]
ARMS: tuple[Arm, ...] = get_args(Arm)

ABOUT: dict[Arm, str] = {
    "document": "the best passages in the document's order (OP-RAG)",
    "relevance": "the same passages, the best first",
    "reversed": "the same passages, the best last, next to the question",
    "shuffled": "the same passages at random",
    "ends": "the same passages, the best at both ends (LongContextReorder)",
    "full": "the document from its beginning; of one that is too long its first and its last half budget (∞Bench)",
    "closed": "nothing: what the reader knows by itself",
}


def arranged(chosen: Sequence[Ranked], arm: Arm, seed: str) -> tuple[Ranked, ...]:
    """`chosen` passages in the order of `arm`; "shuffled" depends on `seed` alone, not on the order given."""
    best_first = in_reading_order(chosen, "relevance")
    orders: dict[str, Callable[[], Sequence[Ranked]]] = {
        "document": lambda: in_reading_order(chosen, "document"),
        "relevance": lambda: best_first,
        "reversed": lambda: best_first[::-1],
        "shuffled": lambda: random.Random(seed).sample(best_first, len(best_first)),
        "ends": lambda: best_first[::2] + best_first[1::2][::-1],
    }
    return tuple(orders[arm]())


def as_text(passages: Sequence[Ranked]) -> str:
    """The passages as a reader of the benchmarks sees them: those that follow each other joined as they stand in the
    document, the others apart by an empty line."""
    pieces: list[str] = []
    previous: Ranked | None = None
    for each in passages:
        if follows(previous, each):
            pieces[-1] += each.passage.text
        else:
            pieces.append(each.passage.text)
        previous = each
    return "\n\n".join(piece.strip() for piece in pieces)


def middle_truncated(text: str, tokens: int) -> str:
    """`text` without its middle: its first `tokens // 2` and its last `tokens // 2` tokens; all of it where it is
    no longer than `tokens` (∞Bench)."""
    starts, _ = located_tokens(text)
    if len(starts) <= tokens:
        return text
    half = tokens // 2
    return text[: starts[half]] + text[starts[-half] :] if half else ""
