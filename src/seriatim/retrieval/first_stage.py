"""The first stage of retrieval: every passage scored at once, by static vectors and by BM25. Milliseconds for a
library."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seriatim.retrieval import lexical, static
from seriatim.retrieval.store import Store, Stored

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]

_BLOCK = 16


class FirstStage:
    """The passages of some documents, as rows: the first document's passages, then the second's, and so on.

    One row that is no passage follows each document, so that rows next to each other are neighbours in a document.
    """

    def __init__(self, store: Store, documents: Sequence[Stored]) -> None:
        self.documents = tuple(documents)
        self._store = store
        self._vectors, lengths = store.static(documents, static.DIMENSION)
        self._bases = np.cumsum([0, *(stored.passages + 1 for stored in documents)])
        is_passage = np.ones(len(lengths), dtype=bool)
        is_passage[self._bases[1:] - 1] = False
        self.passages = np.flatnonzero(is_passage)
        self._saturation = lexical.saturation(lengths, is_passage)
        self._base_of = {stored.id: base for stored, base in zip(documents, self._bases, strict=False)}

    def __len__(self) -> int:
        return len(self.passages)

    def static_scores(self, question: str) -> Scores:
        """The cosine of every row with the question, [rows]; 0 for a row that is no passage."""
        scores: Scores = self._vectors @ static.embed([question])[0]
        return scores

    def bm25_scores(self, question: str) -> Scores:
        """The BM25 score of every row, [rows]; 0 where no word of the question stands."""
        found = [self._rows_of(term) for term in dict.fromkeys(lexical.terms(question))]
        return lexical.bm25(found, self._saturation, len(self))

    def idf(self, term: str) -> float:
        """The weight that BM25 gives `term` among these documents."""
        return lexical.idf(len(self._rows_of(term)[0]), len(self))

    def locate(self, rows: Rows) -> list[tuple[Stored, int]]:
        """The document and the passage index of each row."""
        places = np.searchsorted(self._bases, rows, side="right") - 1
        return [(self.documents[place], int(row - self._bases[place])) for place, row in zip(places, rows, strict=True)]

    def _rows_of(self, term: str) -> tuple[Rows, NDArray[np.uint8]]:
        """The rows that hold `term`, ascending, and how often each does."""
        found = [
            (base, passages, counts)
            for document, passages, counts in self._store.postings(term)
            if (base := self._base_of.get(document)) is not None
        ]
        counts = np.frombuffer(b"".join(counts for _, _, counts in found), dtype=np.uint8)
        numbers = np.frombuffer(b"".join(passages for _, passages, _ in found), dtype=np.uint32).astype(np.int64)
        bases = np.array([base for base, _, _ in found], dtype=np.int64)
        return numbers + np.repeat(bases, [len(counts) for _, _, counts in found]), counts


def best(scores: Scores, count: int) -> Rows:
    """The rows of the `count` highest scores above zero, best first; equal scores in row order."""
    rows = np.flatnonzero((scores >= _floor(scores, count)) & (scores > 0))
    return rows[np.argsort(-scores[rows], kind="stable")][:count]


def _floor(scores: Scores, count: int) -> float:
    """A value that at least `count` scores reach, where there are so many, and few more: among the highest scores of
    as many blocks, the `count`-th. To find it takes one pass, where a partition of all scores takes several."""
    block = min(_BLOCK, len(scores) // (4 * count))  # smaller ones would let too few scores stand apart
    if block < 2:
        return float(np.partition(scores, -count)[-count]) if count < len(scores) else -np.inf
    blocks = len(scores) // block
    highest = scores[: blocks * block].reshape(block, blocks).max(axis=0)
    return float(np.partition(highest, -count)[-count])
