"""Whether the evidence is in what was retrieved: retrieval judged without a reader."""

from collections.abc import Iterable, Sequence

from seriatim.documents.document import Passage
from seriatim.evaluation.metrics import normalized

_GRAM = 4


def stands_in(answer: str, document: str) -> bool:
    """Whether `answer` stands in `document`, both normalised: only then can its evidence be looked for."""
    wanted = normalized(answer)
    return bool(wanted) and wanted in normalized(document)


def coverage(answer: str, text: str) -> float:
    """The share of the word 4-grams of `answer` that stand in `text`, 0 to 1; of an answer of at most four words,
    the whole of it."""
    words = normalized(answer).split()
    grams = [" ".join(words[first : first + _GRAM]) for first in range(max(1, len(words) - _GRAM + 1))]
    said = normalized(text)
    return sum(gram in said for gram in grams) / len(grams) if words else 0.0


def evidence_found(ranges: Iterable[Sequence[int]], passages: Iterable[Passage]) -> bool:
    """Whether one of the character `ranges` of a document lies wholly within its retrieved `passages`."""
    held: set[int] = set()
    for passage in passages:
        held.update(range(passage.start, passage.end))
    return any(held.issuperset(range(start, end)) for start, end in ranges)
