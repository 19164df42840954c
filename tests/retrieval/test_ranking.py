"""The second stage reads candidates only, keeps their vectors, and can find what shares no word with the question."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seriatim.documents.document import Document
from seriatim.retrieval.embedders import unit
from seriatim.retrieval.first_stage import FirstStage
from seriatim.retrieval.library import Library
from seriatim.retrieval.ranking import rank_dense, rank_fast
from seriatim.retrieval.store import Store

PASSAGES = 40
TEXT = "\n\n".join(
    f"Entry number {n}. " + f"The harbour master wrote of berth {n} again. " * 11 for n in range(PASSAGES)
)


class Likes:
    """An embedder to which one word is all that matters."""

    name = "likes"

    def __init__(self, word: str) -> None:
        self._word = word
        self.read: list[str] = []

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += texts
        return np.array([[1, 0] if self._word in text else [0, 1] for text in texts], dtype=np.float32)

    def embed_question(self, text: str) -> NDArray[np.float32]:
        return np.array([1, 0], dtype=np.float32)


class OnlyClose(Likes):
    """Sees a whale in a short text only."""

    name = "close"

    def __init__(self) -> None:
        super().__init__("whale")

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().embed_passages([text if len(text) < 200 else "" for text in texts])


class Vocabulary:
    """Reads words: a text's vector has a coordinate for every word of a small vocabulary that stands in it."""

    name = "vocabulary"
    reads_words = True

    def __init__(self, *words: str) -> None:
        self._words = words
        self.sampled: list[int] = []
        self.weighted: list[list[float]] = []

    def rarity(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.sampled.append(len(texts))
        return np.full(1, len(texts), dtype=np.float32)

    def embed_passages(
        self, texts: Sequence[str], weights: Sequence[NDArray[np.float32]] | None = None
    ) -> NDArray[np.float32]:
        self.weighted += [each.tolist() for each in weights or []]
        return unit(np.array([[word in text for word in self._words] for text in texts], dtype=np.float32))

    def embed_question(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embed_passages([text])[0]
        return vector

    def embed_words(self, text: str) -> list[tuple[str, NDArray[np.float32]]]:
        return [(word, self.embed_question(word)) for word in text.split()]


class Wordless(Vocabulary):
    """The same, but does not let its words be seen."""

    def embed_words(self, text: str) -> list[tuple[str, NDArray[np.float32]]]:
        return []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Library(tmp_path / "library", embedder="static") as library:
        library.add_document(Document("log.txt", TEXT, "log"))
        library._store.change_embedder(Likes.name)
        yield library._store


@pytest.fixture
def stage(store: Store) -> FirstStage:
    return FirstStage(store, store.documents())


def test_the_second_stage_overrules_the_first(store: Store, stage: FirstStage) -> None:
    target = rank_fast(stage, "harbour master")[0][-1]
    stored, number = stage.locate(np.array([target]))[0]
    said = f"berth {store.passages(stored, [number])[0].text.split('berth ')[1].split()[0]} "
    rows, scores = rank_dense(stage, "harbour master", store, Likes(said), candidates=None)
    assert rows.tolist().index(target) < len(rows) // 3
    assert (np.diff(scores) <= 0).all()


def test_no_passage_is_embedded_twice(store: Store, stage: FirstStage) -> None:
    embedder = Likes("berth 7 ")
    first = rank_dense(stage, "harbour master berth", store, embedder, candidates=10, close_up=0)
    assert len(embedder.read) == 10
    again = rank_dense(stage, "harbour master berth", store, embedder, candidates=10, close_up=0)
    assert len(embedder.read) == 10
    assert first[0].tolist() == again[0].tolist()
    rank_dense(stage, "harbour master berth", store, embedder, candidates=None, close_up=0)
    assert len(embedder.read) == len(set(embedder.read)) == len(stage)


def test_the_best_candidates_are_read_piece_by_piece_once(store: Store, stage: FirstStage) -> None:
    embedder = Likes("berth 7 ")
    first = rank_dense(stage, "harbour master berth", store, embedder, candidates=10, close_up=3)
    whole, of_pieces = embedder.read[:10], embedder.read[10:]
    assert len(of_pieces) > 3
    assert {next(text for text in whole if piece in text) for piece in of_pieces} <= set(whole)
    again = rank_dense(stage, "harbour master berth", store, embedder, candidates=10, close_up=3)
    assert embedder.read == whole + of_pieces
    assert again[0].tolist() == first[0].tolist()


def test_one_sentence_among_many_is_found_by_its_piece(tmp_path: Path) -> None:
    filler = [f"Entry number {n}. " + f"The harbour master wrote of berth {n} again. " * 9 for n in range(20)]
    filler[13] += "The whale came in at noon."
    with Library(tmp_path / "other", embedder="static") as library:
        library.add_document(Document("log.txt", "\n\n".join(filler), "log"))
        library._store.change_embedder("close")
        stage = FirstStage(library._store, library._store.documents())
        texts = [passage.text for passage in library._store.passages(stage.documents[0], range(len(stage)))]
        [whale] = [number for number, text in enumerate(texts) if "whale" in text]
        ranks = [
            rank_dense(stage, "harbour master", library._store, OnlyClose(), candidates=None, close_up=count)[0]
            .tolist()
            .index(whale)
            for count in (0, len(texts))
        ]
        assert ranks[1] < ranks[0]


def test_every_word_of_the_question_finds_its_piece(tmp_path: Path) -> None:
    filler = [f"Entry number {n}. " + f"The harbour master wrote of berth {n} again. " * 9 for n in range(20)]
    apart = "The anchor was weighed. " + "The harbour master wrote of the berth again. " * 7 + "The lantern was lit."
    filler[13] = apart
    for n in (3, 7, 16):  # one of the words, in a piece that says nothing else
        filler[n] += "The anchor was weighed."
    with Library(tmp_path / "other", embedder="static") as library:
        library.add_document(Document("log.txt", "\n\n".join(filler), "log"))
        stage = FirstStage(library._store, library._store.documents())
        texts = [passage.text for passage in library._store.passages(stage.documents[0], range(len(stage)))]
        [both] = [number for number, text in enumerate(texts) if "anchor" in text and "lantern" in text]
        scores = []
        for embedder in (Wordless("anchor", "lantern"), Vocabulary("anchor", "lantern")):
            rows, found = rank_dense(stage, "anchor lantern", library._store, embedder, candidates=None)
            share = found[rows == both] / found.max(where=rows != both, initial=0)
            scores.append(float(share[0]))
    assert scores[1] > scores[0]


def test_stop_words_look_for_nothing(store: Store, stage: FirstStage) -> None:
    seen = rank_dense(stage, "where is the", store, Vocabulary("the", "berth"), candidates=10)
    unseen = rank_dense(stage, "where is the", store, Wordless("the", "berth"), candidates=10)
    assert seen[0].tolist() == unseen[0].tolist()
    assert seen[1].tolist() == unseen[1].tolist()


def test_how_rare_words_are_is_learnt_once_from_the_document(store: Store, stage: FirstStage) -> None:
    embedder = Vocabulary("berth")
    store.change_embedder(embedder.name)
    rank_dense(stage, "harbour master berth", store, embedder, candidates=10, close_up=3)
    assert embedder.sampled == [len(stage)]
    assert len(embedder.weighted) > 13
    assert {tuple(weights) for weights in embedder.weighted} == {(len(stage),)}
    rank_dense(stage, "harbour master berth", store, embedder, candidates=10, close_up=3)
    assert embedder.sampled == [len(stage)]  # nothing is left to embed


def test_what_the_second_stage_did_not_read_follows(store: Store, stage: FirstStage) -> None:
    rows, _ = rank_dense(stage, "harbour master berth", store, Likes("nothing"), candidates=5)
    first, _ = rank_fast(stage, "harbour master berth")
    assert sorted(rows.tolist()) == sorted(first.tolist())
    assert set(rows[:5]) == set(first[:5])


def test_progress_counts_up_to_all_passages(store: Store, stage: FirstStage) -> None:
    seen: list[tuple[str, int, int]] = []
    rank_dense(
        stage, "berth", store, Likes("x"), candidates=None, progress=lambda *step: seen.append(step)
    )  # fmt: skip
    assert ("embedding", len(stage), len(stage)) in seen
    assert seen[-1] == ("reading closely", len(stage), len(stage))


@pytest.mark.parametrize("dense", [False, True])
def test_where_nothing_is_in_common_the_least_unlike_come(
    store: Store, stage: FirstStage, monkeypatch: pytest.MonkeyPatch, dense: bool
) -> None:
    scores = np.zeros(len(stage) + 1, dtype=np.float32)  # the last is the row that is no passage
    scores[:-1] = -np.linspace(0.5, 0.1, len(stage))
    monkeypatch.setattr(stage, "static_scores", lambda question: scores)
    rank = partial(rank_dense, store=store, embedder=Likes("x")) if dense else rank_fast
    rows, found = rank(stage, "日本語")
    assert sorted(rows.tolist()) == list(range(len(stage)))
    assert rows[0] == len(stage) - 1 or dense
    assert len(found) == len(rows)
