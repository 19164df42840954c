"""The best rows, against a full sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.retrieval.first_stage import best
from seriatim.retrieval.ranking import fuse


@given(
    size=st.integers(0, 3_000),
    count=st.integers(1, 60),
    distinct=st.sampled_from([2, 30, 100_000]),
    seed=st.integers(0, 99),
)
def test_the_best_rows_are_those_of_a_full_sort(size: int, count: int, distinct: int, seed: int) -> None:
    scores = (np.random.default_rng(seed).integers(-distinct, distinct, size) / distinct).astype(np.float32)
    expected = [row for row in sorted(range(size), key=lambda row: -scores[row]) if scores[row] > 0][:count]
    assert best(scores, count).tolist() == expected


def test_fusion_sums_reciprocal_ranks() -> None:
    rows, scores = fuse([np.array([7, 3]), np.array([3, 9])], 3, weights=(1.5, 1.0))
    assert rows.tolist() == [3, 7, 9]
    assert scores.tolist() == pytest.approx([1.5 / 32 + 1 / 31, 1.5 / 31, 1 / 32])


def test_rows_of_equal_score_keep_their_order() -> None:
    rows, _ = fuse([np.array([5]), np.array([2])], 10)
    assert rows.tolist() == [2, 5]
