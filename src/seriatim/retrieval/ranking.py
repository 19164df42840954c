"""From a question to ranked passages, in two stages.

Static vectors and BM25 score every passage and are fused; a dense embedder then reads only the best candidates, and
its vectors are kept in the library, so that no passage is embedded twice.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from seriatim.retrieval.embedders import Embedder, Progress
from seriatim.retrieval.first_stage import FirstStage, Rows, Scores, best
from seriatim.retrieval.store import Store

Effort = Literal["fast", "balanced", "thorough"]
EFFORTS: tuple[Effort, ...] = ("fast", "balanced", "thorough")

CANDIDATES = 200
DENSE_WEIGHT = 1.5
NEIGHBOUR = 0.3
_DEPTH = 400
_RRF = 60
_EMBED_AT_ONCE = 64


def rank_fast(stage: FirstStage, question: str, depth: int = _DEPTH) -> tuple[Rows, Scores]:
    """The best `depth` rows by the first stage alone, best first, with their fused scores."""
    lists = [best(stage.bm25_scores(question), depth), best(stage.static_scores(question), depth)]
    return fuse(lists, depth)


def rank_dense(
    stage: FirstStage,
    question: str,
    store: Store,
    embedder: Embedder,
    *,
    candidates: int | None = CANDIDATES,
    depth: int = _DEPTH,
    progress: Progress | None = None,
) -> tuple[Rows, Scores]:
    """The best rows by dense vectors of the first stage's `candidates` (None: of every passage), fused with BM25.

    The rows that the second stage did not read follow in the first stage's order.
    """
    bm25 = best(stage.bm25_scores(question), depth)
    first, _ = fuse([bm25, best(stage.static_scores(question), depth)], depth)
    read = stage.passages if candidates is None else np.sort(first[:candidates])
    if not len(read):
        return first, np.zeros(0, dtype=np.float32)
    vectors = _vectors(stage, read, store, embedder, progress)
    similarity = _with_neighbours(vectors @ embedder.embed_question(question), read)
    dense = read[np.argsort(-similarity, kind="stable")][:depth]
    if candidates is not None:
        bm25 = bm25[np.isin(bm25, read)]
    rows, scores = fuse([dense, bm25], depth, weights=(DENSE_WEIGHT, 1.0))
    rest = first[~np.isin(first, rows)]
    return np.concatenate([rows, rest]), np.concatenate([scores, np.zeros(len(rest), dtype=np.float32)])


def fuse(lists: Sequence[Rows], depth: int, weights: Sequence[float] | None = None) -> tuple[Rows, Scores]:
    """Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009): the weighted sum of 1 / (60 + rank) over the
    lists."""
    fused: dict[int, float] = {}
    for ranked, weight in zip(lists, weights or [1.0] * len(lists), strict=True):
        for rank, row in enumerate(ranked.tolist(), start=1):
            fused[row] = fused.get(row, 0.0) + weight / (_RRF + rank)
    rows = np.array(sorted(fused), dtype=np.int64)
    scores = np.array([fused[row] for row in rows.tolist()], dtype=np.float32)
    order = np.argsort(-scores, kind="stable")[:depth]
    return rows[order], scores[order]


def _with_neighbours(similarity: Scores, rows: Rows) -> Scores:
    """Each row's similarity and a share of its neighbours'; one that was not read counts as the least similar."""
    if not len(rows):
        return similarity
    least = similarity.min()
    shared = similarity.copy()
    adjacent = np.diff(rows) == 1
    shared[1:] += NEIGHBOUR * np.where(adjacent, similarity[:-1], least)
    shared[:-1] += NEIGHBOUR * np.where(adjacent, similarity[1:], least)
    shared[[0, -1]] += NEIGHBOUR * least
    return shared


def _vectors(stage: FirstStage, rows: Rows, store: Store, embedder: Embedder, progress: Progress | None) -> np.ndarray:
    """The dense vectors of `rows`, [len(rows), dimension]: those kept, and the others embedded now and kept."""
    places = stage.locate(rows)
    by_document: dict[int, list[int]] = {}
    for stored, number in places:
        by_document.setdefault(stored.id, []).append(number)
    known = {
        (document, number): vector
        for document, numbers in by_document.items()
        for number, vector in store.dense(document, numbers).items()
    }
    missing = [(stored, number) for stored, number in places if (stored.id, number) not in known]
    for first in range(0, len(missing), _EMBED_AT_ONCE):
        chunk = missing[first : first + _EMBED_AT_ONCE]
        texts = [store.passages(stored, [number])[0].text for stored, number in chunk]
        made = [
            (stored.id, number, vector)
            for (stored, number), vector in zip(chunk, embedder.embed_passages(texts), strict=True)
        ]
        # Kept as they come, so that an interrupted run has not embedded in vain.
        if store.writable:
            store.keep_dense(made, embedder.name)
        known.update({(document, number): vector for document, number, vector in made})
        if progress:
            progress("embedding", first + len(chunk), len(missing))
    return np.array([known[stored.id, number] for stored, number in places], dtype=np.float32)
