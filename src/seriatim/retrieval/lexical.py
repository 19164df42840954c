"""BM25 over stemmed words, scored from posting lists.

A passage is scored together with a share of its neighbours, for a story names its people once and then says "he".
Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), equation 3.15, with the
idf of Lucene, which is never negative.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.6
NEIGHBOUR = 0.4

_WORD = re.compile(r"[^\W_]+(?:[’'][^\W_]+)?")
_STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "above",
        "after",
        "again",
        "all",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "below",
        "between",
        "both",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "down",
        "during",
        "each",
        "few",
        "for",
        "from",
        "further",
        "had",
        "has",
        "have",
        "having",
        "he",
        "her",
        "here",
        "hers",
        "herself",
        "him",
        "himself",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "itself",
        "just",
        "me",
        "more",
        "most",
        "my",
        "myself",
        "no",
        "nor",
        "not",
        "now",
        "of",
        "off",
        "on",
        "once",
        "only",
        "or",
        "other",
        "our",
        "ours",
        "ourselves",
        "out",
        "over",
        "own",
        "same",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "theirs",
        "them",
        "themselves",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "through",
        "to",
        "too",
        "under",
        "until",
        "up",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "yours",
        "yourself",
        "yourselves",
        "s",
        "t",
        "tell",
        "said",
    ]
)


@dataclass(frozen=True, slots=True)
class Postings:
    """Where one term stands in one document: passage indices, ascending, and how often in each."""

    term: str
    passages: NDArray[np.uint32]
    counts: NDArray[np.uint8]


class _Stems(dict[str, str]):
    """Words → stems, each stemmed once; stop words become the empty string."""

    def __init__(self) -> None:
        import Stemmer

        self._stemmer: Any = Stemmer.Stemmer("english", 0)

    def __missing__(self, word: str) -> str:
        bare = word.replace("’", "'").removesuffix("'s")
        self[word] = stem = "" if bare in _STOP_WORDS else self._stemmer.stemWord(bare)
        return stem


def terms(text: str) -> list[str]:
    """The index terms of `text`, in order: its words, lower-cased and stemmed, without stop words."""
    stems = _Stems()
    return [stem for word in _WORD.findall(text.lower()) if (stem := stems[word])]


def postings(texts: Sequence[str]) -> tuple[list[Postings], NDArray[np.uint16]]:
    """The posting lists of a document's passages, and how many terms each passage has."""
    stems = _Stems()
    vocabulary: dict[str, int] = {}
    numbers: list[NDArray[np.int64]] = []
    for text in texts:
        found = [stem for word in _WORD.findall(text.lower()) if (stem := stems[word])]
        numbers.append(np.array([vocabulary.setdefault(stem, len(vocabulary)) for stem in found], dtype=np.int64))
    lengths = np.array([len(n) for n in numbers], dtype=np.int64)
    keys = np.concatenate([*numbers, np.empty(0, np.int64)]) * len(texts) + np.repeat(np.arange(len(texts)), lengths)
    keys, times = np.unique(keys, return_counts=True)
    counts = np.minimum(times, 255).astype(np.uint8)
    term_of, passage_of = np.divmod(keys, max(1, len(texts)))
    bounds = np.searchsorted(term_of, np.arange(len(vocabulary) + 1))
    passage_of = passage_of.astype(np.uint32)
    lists = [
        Postings(term, passage_of[bounds[i] : bounds[i + 1]], counts[bounds[i] : bounds[i + 1]])
        for i, term in enumerate(vocabulary)
    ]
    return lists, np.minimum(lengths, 65_535).astype(np.uint16)


def idf(holding: int, passages: int) -> float:
    """The weight of a term that so many of the `passages` hold."""
    return float(np.log1p((passages - holding + 0.5) / (holding + 0.5)))


def bm25(
    found: Sequence[tuple[NDArray[np.int64], NDArray[np.uint8]]], saturation: NDArray[np.float32], passages: int
) -> NDArray[np.float32]:
    """The BM25 score of every row, [len(saturation)], among so many `passages`.

    `found` holds, for each term of the question, the rows of the passages that have it and its count in each. A row
    that is no passage must follow each document, so that a passage's neighbours are those of its document; it scores 0.
    """
    scores = np.zeros(len(saturation), dtype=np.float32)
    frequency = np.zeros(len(saturation), dtype=np.float32)
    for rows, counts in found:
        frequency[rows] = counts
        share = np.float32(NEIGHBOUR) * counts
        frequency[rows + 1] += share
        frequency[rows - 1] += share  # before the first row stands the last, which is no passage
        weight = np.float32((K1 + 1) * idf(len(rows), passages))
        if 16 * len(rows) > len(frequency):  # to visit every row is cheaper than to gather so many
            scores += weight * frequency / (frequency + saturation)
            frequency[:] = 0
        else:
            touched = np.concatenate([rows - 1, rows, rows + 1])  # a row in it twice gets the same sum twice
            here = frequency[touched]
            scores[touched] += weight * here / (here + saturation[touched])
            frequency[touched] = 0
    return scores


def saturation(lengths: NDArray[np.uint16], is_passage: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What BM25 adds to a term's frequency in its denominator, from the rows' lengths in terms, [rows]; infinite, so
    that nothing is scored, for a row that is no passage."""
    near = lengths.astype(np.float32)
    near[1:] += np.float32(NEIGHBOUR) * lengths[:-1]
    near[:-1] += np.float32(NEIGHBOUR) * lengths[1:]
    near[~is_passage] = np.inf
    average = float(near[is_passage].mean(dtype=np.float64)) if is_passage.any() else 0.0
    return (K1 * (1 - B + B * near / max(average, 1e-9))).astype(np.float32)
