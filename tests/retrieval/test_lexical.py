"""BM25 against an independent computation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.retrieval.lexical import K1, NEIGHBOUR, B, bm25, postings, saturation, terms

words = st.lists(st.sampled_from(["whale", "whales", "ship", "the", "of", "harpoon", "Ahab's", "é", "42"]), max_size=12)


def expected(question: str, texts: list[str]) -> list[float]:
    documents = [terms(text) for text in texts]

    def near(values: list[float], place: int) -> float:
        around = values[max(0, place - 1) : place] + values[place + 1 : place + 2]
        return values[place] + NEIGHBOUR * sum(around)

    lengths = [near([float(len(document)) for document in documents], place) for place in range(len(texts))]
    average = sum(lengths) / len(lengths)
    scores = [0.0] * len(texts)
    for term in set(terms(question)):
        holding = sum(term in document for document in documents)
        counts = [float(document.count(term)) for document in documents]
        if holding:
            idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
            for place, length in enumerate(lengths):
                count = near(counts, place)
                saturation = K1 * (1 - B + B * length / max(average, 1e-9))
                scores[place] += idf * count * (K1 + 1) / (count + saturation) if count else 0.0
    return scores


@given(question=words.map(" ".join), texts=st.lists(words.map(" ".join), min_size=1, max_size=8))
def test_scores_follow_the_formula(question: str, texts: list[str]) -> None:
    lists, lengths = postings(texts)
    by_term = {each.term: each for each in lists}
    found = [
        (by_term[term].passages.astype(np.int64), by_term[term].counts)
        for term in dict.fromkeys(terms(question))
        if term in by_term
    ]
    is_passage = np.array([True] * len(texts) + [False])
    scores = bm25(found, saturation(np.append(lengths, np.uint16(0)), is_passage), len(texts))
    assert scores[:-1] == pytest.approx(expected(question, texts), abs=1e-4)
    assert scores[-1] == 0


@given(rows=st.sets(st.integers(0, 158)), seed=st.integers(0, 9))
def test_frequent_and_rare_terms_are_scored_alike(rows: set[int], seed: int) -> None:
    held = np.array(sorted(rows), dtype=np.int64)
    counts = np.random.default_rng(seed).integers(1, 9, len(held)).astype(np.uint8)
    short, long = (np.append(np.ones(size, dtype=np.float32), np.float32(np.inf)) for size in (159, 9_999))
    many, few = (bm25([(held, counts)], saturated, 9_999) for saturated in (short, long))
    assert few[:159] == pytest.approx(many[:159])


def test_a_neighbour_in_another_document_lends_nothing() -> None:
    saturated = np.array([1, np.inf, 1, 1, np.inf], dtype=np.float32)
    one = np.array([1], dtype=np.uint8)
    assert bm25([(np.array([0]), one)], saturated, 3)[1:].tolist() == [0, 0, 0, 0]
    scores = bm25([(np.array([2]), one)], saturated, 3)
    assert scores[[0, 1, 4]].tolist() == [0, 0, 0]
    assert scores[2] > scores[3] > 0


def test_words_are_stemmed_and_stop_words_left_out() -> None:
    assert terms("The whales' whaling of the Whale") == terms("whale whale whale")[:1] * 3


def test_a_question_of_stop_words_has_no_terms() -> None:
    assert terms("Who is he?") == []
