import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.training.data.repetition import repeats


def by_loops(tokens: list[int], longest: int, times: int) -> bool:
    return any(
        all(tokens[start + offset] == tokens[start + offset % n] for offset in range(n * times))
        for n in range(1, longest + 1)
        for start in range(len(tokens) - n * times + 1)
    )


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 4), st.integers(2, 5))
def test_what_repeats_is_what_loops_find(tokens: list[int], longest: int, times: int) -> None:
    assert repeats(np.array(tokens, dtype=np.int64), longest=longest, times=times) == by_loops(tokens, longest, times)


@pytest.mark.parametrize(("period", "dropped"), [(1, True), (7, True), (13, True), (14, False)])
def test_the_papers_limits(period: int, dropped: bool) -> None:
    words = np.arange(period)
    assert repeats(np.concatenate([[99], np.tile(words, 32), [98]])) is dropped
    assert not repeats(np.concatenate([[99], np.tile(words, 31), [98]]))
