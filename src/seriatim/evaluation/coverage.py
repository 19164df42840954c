"""Whether the evidence is in what was retrieved: retrieval judged without a reader."""

from collections.abc import Iterable, Sequence

from seriatim.documents.document import Passage
from seriatim.evaluation.metrics import normalized

_GRAM = 4


def stands_in(answer: str, document: str, *, whole_words: bool = False) -> bool:
    """Whether `answer` stands in `document`, both normalised: only then can its evidence be looked for."""
    wanted = normalized(answer)
    return bool(wanted) and _holds(normalized(document), wanted, whole_words)


def coverage(answer: str, text: str, *, whole_words: bool = False) -> float:
    """The share of the word 4-grams of `answer` that stand in `text`, 0 to 1; of an answer of at most four words,
    the whole of it. Characters are compared, as in the figures that this one is set beside, so that "no" stands in
    "not"; with `whole_words` it does not."""
    words = normalized(answer).split()
    grams = [" ".join(words[first : first + _GRAM]) for first in range(max(1, len(words) - _GRAM + 1))]
    said = normalized(text)
    return sum(_holds(said, gram, whole_words) for gram in grams) / len(grams) if words else 0.0


def _holds(text: str, words: str, whole: bool) -> bool:
    return f" {words} " in f" {text} " if whole else words in text


def evidence_found(ranges: Iterable[Sequence[int]], passages: Iterable[Passage]) -> bool:
    """Whether one of the character `ranges` of a document lies wholly within its retrieved `passages`."""
    held: set[int] = set()
    for passage in passages:
        held.update(range(passage.start, passage.end))
    return any(held.issuperset(range(start, end)) for start, end in ranges)
