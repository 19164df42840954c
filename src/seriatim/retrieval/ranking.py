"""From a question to ranked passages, in stages of which each reads fewer passages, and closer.

Static vectors and BM25 score every passage. A dense embedder reads the best candidates; then, of the best of these,
it reads each piece of a sentence or two alone, where one fact is not drowned by its neighbours. Its vectors are kept in
the library, so that nothing is embedded twice.

An embedder that reads words (`embedders.WordEmbedder`) weighs them: a passage's vector is the mean of its tokens' by
their idf in the document, and of the question each word looks for the piece that is nearest to it (late interaction,
after Khattab and Zaharia, "ColBERT", 2020, with pieces in the place of tokens).
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seriatim.progress import Progress
from seriatim.retrieval.content import content, pieces
from seriatim.retrieval.embedders import Embedder, WordEmbedder, reads_words
from seriatim.retrieval.first_stage import FirstStage, Rows, Scores, best
from seriatim.retrieval.lexical import terms
from seriatim.retrieval.store import Level, Store, Stored

Effort = Literal["fast", "balanced", "thorough"]
EFFORTS: tuple[Effort, ...] = ("fast", "balanced", "thorough")

CANDIDATES = 200
CLOSE_UP = 128
NEIGHBOUR = 0.3
# What BM25, static vectors, passages, pieces and words count in the end; the figures are flat around these.
_WEIGHTS = (1.0, 0.7, 1.2, 1.0, 1.0)
_SAMPLE = 128  # passages of a document tell how rare its words are
_DEPTH = 400
_RRF = 30
_EMBED_AT_ONCE = 64


def rank_fast(stage: FirstStage, question: str, depth: int = _DEPTH) -> tuple[Rows, Scores]:
    """The best `depth` rows by the first stage alone, best first, with their fused scores."""
    return fuse(_first_lists(stage, question, depth), depth)


def rank_dense(
    stage: FirstStage,
    question: str,
    store: Store,
    embedder: Embedder,
    *,
    candidates: int | None = CANDIDATES,
    close_up: int = CLOSE_UP,
    depth: int = _DEPTH,
    progress: Progress | None = None,
) -> tuple[Rows, Scores]:
    """The best rows by dense vectors of the first stage's `candidates` (None: of every passage) and of the pieces of
    the best `close_up` of them, fused with the first stage's rankings.

    The rows that the second stage did not read follow in the first stage's order.
    """
    bm25, static = _first_lists(stage, question, depth)
    first, _ = fuse([bm25, static], depth)
    read = stage.passages if candidates is None else np.sort(first[:candidates])
    asked = embedder.embed_question(question)
    embed = _embedding(store, embedder)
    vectors = _vectors("passage", stage, read, store, embedder.name, embed, progress)
    similarity = np.array([each[0] @ asked for each in vectors], dtype=np.float32)
    lists = [bm25, static, _ordered(read, _with_neighbours(similarity, read))]
    so_far, _ = fuse(lists, len(first) + len(read), _WEIGHTS[:3])
    close = np.sort(so_far[np.isin(so_far, read)][:close_up])
    of_pieces = _vectors("pieces", stage, close, store, embedder.name, embed, progress)
    closest = np.array([(each @ asked).max() for each in of_pieces], dtype=np.float32)
    lists.append(_ordered(close, closest))
    if len(close) and reads_words(embedder) and len(words := _words(stage, question, embedder)):
        matched = np.array([(each @ words.T).max(axis=0).sum() for each in of_pieces], dtype=np.float32)
        lists.append(_ordered(close, _with_neighbours(matched, close)))
    rows, scores = fuse(lists, depth, _WEIGHTS[: len(lists)])
    rest = first[~np.isin(first, rows)]
    return np.concatenate([rows, rest]), np.concatenate([scores, np.zeros(len(rest), dtype=np.float32)])


def fuse(lists: Sequence[Rows], depth: int, weights: Sequence[float] | None = None) -> tuple[Rows, Scores]:
    """Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009): the weighted sum of 1 / (30 + rank) over the
    lists. The constant is half of theirs: passages of one document are fewer than documents of a collection."""
    shares = [
        weight / (_RRF + np.arange(1, len(ranked) + 1))
        for ranked, weight in zip(lists, weights or [1.0] * len(lists), strict=True)
    ]
    rows, places = np.unique(np.concatenate(lists), return_inverse=True)
    scores = np.bincount(places, np.concatenate(shares), minlength=len(rows)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")[:depth]
    return rows[order], scores[order]


def _first_lists(stage: FirstStage, question: str, depth: int) -> tuple[Rows, Rows]:
    """The rankings by BM25 and by static vectors.

    Where no passage has anything in common with the question, the least unlike come all the same: that they do not
    answer it is for the reader to say.
    """
    similarity = stage.static_scores(question)
    bm25, static = best(stage.bm25_scores(question), depth), best(similarity, depth)
    if not len(bm25) and not len(static):
        static = _ordered(stage.passages, similarity[stage.passages])[:depth]
    return bm25, static


def _ordered(rows: Rows, scores: Scores) -> Rows:
    """`rows` with the highest scores first."""
    return rows[np.argsort(-scores, kind="stable")]


def _with_neighbours(similarity: Scores, rows: Rows) -> Scores:
    """Each row's similarity and a share of its neighbours'; one that was not read counts as the least similar."""
    least = similarity.min()
    shared = similarity.copy()
    adjacent = np.diff(rows) == 1
    shared[1:] += NEIGHBOUR * np.where(adjacent, similarity[:-1], least)
    shared[:-1] += NEIGHBOUR * np.where(adjacent, similarity[1:], least)
    shared[[0, -1]] += NEIGHBOUR * least
    return shared


_STEPS: dict[Level, str] = {"passage": "embedding", "pieces": "reading closely"}


def _words(stage: FirstStage, question: str, embedder: WordEmbedder) -> NDArray[np.float32]:
    """The vectors of the question's words but for stop words, each as long as its idf, [words, dimension]."""
    idf = cache(stage.idf)
    found = [idf(term) * vector for word, vector in embedder.embed_words(question) for term in terms(word)]
    return np.array(found, dtype=np.float32)


Embed = Callable[[Sequence[tuple[Stored, str]]], NDArray[np.float32]]


def _embedding(store: Store, embedder: Embedder) -> Embed:
    """What embeds texts of documents, [texts, dimension]."""
    if not reads_words(embedder):
        return lambda texts: embedder.embed_passages([text for _, text in texts])

    @cache
    def rarity(stored: Stored) -> NDArray[np.float32]:
        sample = np.unique(np.linspace(0, stored.passages - 1, _SAMPLE, dtype=np.int64)).tolist()
        return embedder.rarity([content(passage.text) for passage in store.passages(stored, sample)])

    return lambda texts: embedder.embed_passages([text for _, text in texts], [rarity(stored) for stored, _ in texts])


def _vectors(
    level: Level,
    stage: FirstStage,
    rows: Rows,
    store: Store,
    embedder: str,
    embed: Embed,
    progress: Progress | None,
) -> list[NDArray[np.float32]]:
    """The dense vectors of each of `rows`, [texts, dimension]: those kept, and the others embedded now and kept."""
    places = stage.locate(rows)
    by_document: dict[int, list[int]] = {}
    for stored, number in places:
        by_document.setdefault(stored.id, []).append(number)
    known = {
        (document, number): vectors
        for document, numbers in by_document.items()
        for number, vectors in store.dense(level, document, numbers).items()
    }
    missing = [(stored, number) for stored, number in places if (stored.id, number) not in known]
    for first in range(0, len(missing), _EMBED_AT_ONCE):
        chunk = missing[first : first + _EMBED_AT_ONCE]
        made = _embedded(level, chunk, store, embed)
        # Kept as they come, so that an interrupted run has not embedded in vain.
        if store.writable:
            store.keep_dense(level, made, embedder)
        known.update({(document, number): vectors for document, number, vectors in made})
        if progress:
            progress(_STEPS[level], first + len(chunk), len(missing))
    return [known[stored.id, number] for stored, number in places]


def _texts(level: Level, store: Store, stored: Stored, number: int) -> list[str]:
    """What of a passage is embedded at a level."""
    read = [passage.text for passage in store.passages(stored, [number, *range(number + 1, stored.passages)][:2])]
    return [content(read[0])] if level == "passage" else pieces(*read)


def _embedded(
    level: Level, places: Sequence[tuple[Stored, int]], store: Store, embed: Embed
) -> list[tuple[int, int, NDArray[np.float32]]]:
    """Document, passage index and vectors of each place."""
    texts = [_texts(level, store, stored, number) for stored, number in places]
    vectors = embed([(stored, text) for (stored, _), each in zip(places, texts, strict=True) for text in each])
    vectors = vectors.astype(np.float16).astype(np.float32)  # as they are kept: a search ranks the same the next time
    ends = np.cumsum([len(each) for each in texts])[:-1]
    return [(stored.id, number, part) for (stored, number), part in zip(places, np.split(vectors, ends), strict=True)]
