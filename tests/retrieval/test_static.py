"""Static vectors against a plain mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.tokens import token_ids
from seriatim.retrieval import static


@given(st.lists(st.text(max_size=60), max_size=5))
def test_a_vector_is_the_mean_of_its_tokens_vectors(texts: list[str]) -> None:
    vectors = static.embed(texts)
    assert vectors.shape == (len(texts), static.DIMENSION)
    for ids, vector in zip(token_ids(texts), vectors, strict=True):
        mean = static._table()[list(ids)].mean(axis=0) if len(ids) else np.zeros(static.DIMENSION)
        length = np.linalg.norm(mean)
        assert vector == pytest.approx(mean / length if length else mean, abs=1e-5)


def test_texts_are_embedded_alike_alone_and_among_many() -> None:
    texts = [f"passage {number} " * number for number in range(300)]
    assert static.embed(texts)[123] == pytest.approx(static.embed([texts[123]])[0], abs=1e-5)


def test_kindred_texts_are_nearer() -> None:
    whale, ship, tax = static.embed(["the white whale", "a great fish in the sea", "deductible income tax"])
    assert whale @ ship > whale @ tax
