import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.errors import TrainingError
from seriatim.training.data.batches import Batches

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=4).filter(lambda each: sum(each) > 8)


def streams(sizes: list[int]) -> list[np.ndarray]:
    whole = np.arange(sum(sizes), dtype=np.uint16)
    return np.split(whole, np.cumsum(sizes)[:-1])


@given(lengths, st.integers(1, 7), st.integers(1, 5), st.integers(0, 9))
def test_an_epoch_holds_every_sequence_once(sizes: list[int], length: int, batch: int, seed: int) -> None:
    batches = Batches(streams(sizes), length=length, batch=batch, seed=seed)
    steps = -(-2 * batches.sequences // batch)
    rows = np.concatenate([batches.at(step) for step in range(steps)])
    assert rows.shape[1] == length + 1
    assert (np.diff(rows) == 1).all()
    starts = rows[:, 0].tolist()
    every = [index * length for index in range(batches.sequences)]
    assert sorted(starts[: len(every)]) == sorted(starts[len(every) : 2 * len(every)]) == every


@given(lengths, st.integers(1, 4), st.integers(0, 30))
def test_a_step_is_the_same_whatever_came_before(sizes: list[int], batch: int, step: int) -> None:
    one, other = (Batches(streams(sizes), length=3, batch=batch, seed=4) for _ in range(2))
    for before in range(step):
        one.at(before)
    assert (one.at(step) == other.at(step)).all()


@given(lengths, st.sampled_from([1, 2, 4]), st.integers(0, 9))
def test_ranks_share_the_batch_that_one_would_read(sizes: list[int], ranks: int, step: int) -> None:
    alone = Batches(streams(sizes), length=3, batch=4, seed=1).at(step)
    parts = [Batches(streams(sizes), length=3, batch=4, seed=1, rank=r, ranks=ranks).at(step) for r in range(ranks)]
    assert (np.concatenate(parts) == alone).all()


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    whole = streams([500])
    orders = [Batches(whole, length=4, batch=100, seed=seed).at(step).tolist() for seed in (0, 1) for step in (0, 1)]
    assert len({str(order) for order in orders}) == 4


def test_a_batch_that_cannot_be_shared_is_told() -> None:
    with pytest.raises(TrainingError, match="a batch of 3 sequences cannot be shared by 2 processes"):
        Batches(streams([40]), length=3, batch=3, seed=0, ranks=2)


def test_a_stream_too_short_is_told() -> None:
    with pytest.raises(TrainingError, match="4 tokens make no sequence of 9"):
        Batches(streams([4]), length=8, batch=1, seed=0)


@given(lengths, st.integers(1, 7), st.integers(0, 9), st.data())
def test_each_token_has_the_number_of_its_document(
    sizes: list[int], length: int, step: int, data: st.DataObject
) -> None:
    """Ids are their own places in the stream, so each tells which document it should be of."""
    ends = [np.array(sorted({size, *data.draw(st.sets(st.integers(1, size), max_size=4))})) for size in sizes]
    first = np.cumsum([0, *sizes])
    whole = np.concatenate([start + each for start, each in zip(first[:-1], ends, strict=True)])
    batches = Batches(streams(sizes), length=length, batch=2, seed=1, document_ends=ends)
    expected = [[sum(int(end) <= token for end in whole) for token in row] for row in batches.at(step).tolist()]
    assert batches.document_ids(step).tolist() == expected


def test_batches_that_do_not_know_where_documents_end_say_so() -> None:
    with pytest.raises(TrainingError, match="do not know where documents end"):
        Batches(streams([40]), length=3, batch=1, seed=0).document_ids(0)
