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
    is_start = np.arange(len(texts)) == 0
    assert bm25(found, saturation(lengths, is_start), is_start) == pytest.approx(expected(question, texts), abs=1e-4)


def test_a_neighbour_in_another_document_lends_nothing() -> None:
    is_start = np.array([True, True, False])
    found = [(np.array([0]), np.array([1], dtype=np.uint8))]
    assert bm25(found, np.ones(3, dtype=np.float32), is_start)[1:].tolist() == [0, 0]
    found = [(np.array([1]), np.array([1], dtype=np.uint8))]
    scores = bm25(found, np.ones(3, dtype=np.float32), is_start)
    assert scores[0] == 0
    assert scores[1] > scores[2] > 0


def test_words_are_stemmed_and_stop_words_left_out() -> None:
    assert terms("The whales' whaling of the Whale") == terms("whale whale whale")[:1] * 3


def test_a_question_of_stop_words_has_no_terms() -> None:
    assert terms("Who is he?") == []
