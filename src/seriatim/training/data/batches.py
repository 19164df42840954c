"""Batches of fixed-length sequences in an order that the seed alone determines, each to be had by its step.

Shapes: B sequences, T tokens.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seriatim.errors import TrainingError

IGNORED = -100
"""The label of a token that is not learned from; PyTorch's and transformers' own."""


class Batch(NamedTuple):
    """Token ids [B, T], and for each the id that is to follow it [B, T], `IGNORED` where that is not learned from."""

    ids_BT: NDArray[Any]
    labels_BT: NDArray[Any]


class Stream(Protocol):
    """Ids in a row: an array, or what reads like one."""

    def __len__(self) -> int: ...
    def __getitem__(self, stretch: slice, /) -> NDArray[Any]: ...


class Data(Protocol):
    """What a run trains on: any step's batch, held-out batches, and the tokenizer's folder and ids."""

    @property
    def sequence_length(self) -> int:
        """The most tokens of a sequence; the model's context."""

    @property
    def held_out(self) -> Iterable[Batch]: ...
    @property
    def digest(self) -> str:
        """What tells these data from others; "" where a run's settings do."""

    @property
    def tokenizer(self) -> Path: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def eos_id(self) -> int: ...
    @property
    def pad_id(self) -> int | None: ...

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of `step`, from 0."""


def successive(sequences: NDArray[Any]) -> Batch:
    """Sequences [B, T + 1] of which every token predicts the next."""
    return Batch(sequences[:, :-1], sequences[:, 1:])


class Batches:
    """Sequences of `length + 1` ids, the last of each being the first of the next, shuffled anew in each epoch.

    Documents stand one after another in the stream; a sequence may hold parts of several. Each of `ranks` processes
    takes its own stretch of a batch, so that the whole batch of a step is the same for any number of them, and one
    process that accumulates as many parts reads the same parts. `document_ends` say where in each stream documents end
    (see `Shards.ends`), for who asks whose a token is. Raises `TrainingError` for a stream that is too short for one
    sequence, and for a batch that cannot be shared evenly.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        *,
        length: int,
        batch: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        document_ends: Sequence[NDArray[Any]] | None = None,
    ) -> None:
        self._streams, self._length, self._batch, self._seed = list(streams), length, batch, seed
        self._document_ends = document_ends
        if batch % ranks:
            raise TrainingError(f"a batch of {batch} sequences cannot be shared by {ranks} processes")
        self._share = range(rank * batch // ranks, (rank + 1) * batch // ranks)
        self._ends = np.cumsum([len(stream) for stream in streams])
        tokens = int(self._ends[-1]) if len(self._ends) else 0
        self.sequences = max(0, tokens - 1) // length
        if not self.sequences:
            raise TrainingError(
                f"{tokens} tokens make no sequence of {length + 1}: take more text, or shorter sequences"
            )
        self._order = lru_cache(maxsize=2)(self._permutation)

    def at(self, step: int) -> NDArray[np.int32]:
        """This rank's part of the batch of `step` (from 0), [B / ranks, T + 1]."""
        return np.stack([self._read(index) for index in self._indices(step)])

    def document_ids(self, step: int) -> NDArray[np.int64]:
        """Of each token of `at(step)` the number of its document among all of the streams, [B / ranks, T + 1]: two
        tokens of a sequence are of one document where the numbers are equal. The end of a text belongs to it."""
        if self._document_ends is None:
            raise TrainingError("these batches do not know where documents end: give document_ends")
        before = np.cumsum([0, *map(len, self._document_ends)])
        return np.stack([self._documents(index, before) for index in self._indices(step)])

    def in_order(self) -> Iterator[NDArray[np.int32]]:
        """All sequences in the order of the stream, in batches; the last batch may be smaller."""
        for start in range(0, self.sequences, self._batch):
            yield np.stack([self._read(index) for index in range(start, min(start + self._batch, self.sequences))])

    def _indices(self, step: int) -> Iterator[int]:
        """Which sequences of the stream this rank's part of a batch is."""
        for place in self._share:
            epoch, within = divmod(step * self._batch + place, self.sequences)
            yield int(self._order(epoch)[within])

    def _permutation(self, epoch: int) -> NDArray[Any]:
        """The order of an epoch; the order does not depend on the type, which is as small as it can be."""
        order = np.arange(self.sequences, dtype=np.min_scalar_type(self.sequences))
        np.random.default_rng([self._seed, epoch]).shuffle(order)
        return order

    def _read(self, index: int) -> NDArray[np.int32]:
        parts = [self._streams[shard][start:end] for shard, start, end in self._stretches(index)]
        return np.concatenate(parts).astype(np.int32)

    def _documents(self, index: int, before: NDArray[np.int64]) -> NDArray[np.int64]:
        assert self._document_ends is not None
        parts = [
            before[shard] + np.searchsorted(self._document_ends[shard], np.arange(start, end), side="right")
            for shard, start, end in self._stretches(index)
        ]
        return np.concatenate(parts)

    def _stretches(self, index: int) -> Iterator[tuple[int, int, int]]:
        """The streams that a sequence stands in, and from where to where in each."""
        start, wanted = index * self._length, self._length + 1
        shard = int(np.searchsorted(self._ends, start, side="right"))
        while wanted:
            size = len(self._streams[shard])
            begin = start - (int(self._ends[shard]) - size)
            end = min(begin + wanted, size)
            yield shard, begin, end
            start, wanted, shard = start + end - begin, wanted - (end - begin), shard + 1
