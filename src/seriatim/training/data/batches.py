"""Batches of fixed-length sequences in an order that the seed alone determines, each to be had by its step.

Shapes: B sequences, T tokens.
"""

from collections.abc import Sequence
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


class Data(Protocol):
    """What a run trains on: any step's batch, held-out batches, and the tokenizer's folder and ids."""

    @property
    def sequence_length(self) -> int:
        """The most tokens of a sequence; the model's context."""

    @property
    def held_out(self) -> tuple[Batch, ...]: ...
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
    process that accumulates as many parts reads the same parts. Raises `TrainingError` for a stream that is too short
    for one sequence, and for a batch that cannot be shared evenly.
    """

    def __init__(
        self, streams: Sequence[NDArray[Any]], *, length: int, batch: int, seed: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self._streams, self._length, self._batch, self._seed = list(streams), length, batch, seed
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
        return np.stack([self._sequence(step * self._batch + place) for place in self._share])

    def in_order(self) -> "list[NDArray[np.int32]]":
        """All sequences in the order of the stream, in batches; the last batch may be smaller."""
        starts = range(0, self.sequences, self._batch)
        return [
            np.stack([self._read(index) for index in range(start, min(start + self._batch, self.sequences))])
            for start in starts
        ]

    def _sequence(self, place: int) -> NDArray[np.int32]:
        epoch, within = divmod(place, self.sequences)
        return self._read(int(self._order(epoch)[within]))

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(self.sequences)

    def _read(self, index: int) -> NDArray[np.int32]:
        start, wanted = index * self._length, self._length + 1
        shard = int(np.searchsorted(self._ends, start, side="right"))
        parts: list[NDArray[Any]] = []
        while wanted:
            begins = int(self._ends[shard]) - len(self._streams[shard])
            part = self._streams[shard][start - begins : start - begins + wanted]
            parts.append(part)
            start, wanted, shard = start + len(part), wanted - len(part), shard + 1
        return np.concatenate(parts).astype(np.int32)
