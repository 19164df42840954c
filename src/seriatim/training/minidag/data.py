"""An arm's batches: made as they are needed, each of them a function of the seed and the step alone.

Shapes: B sequences, T tokens.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.batches import IGNORED, Batch
from seriatim.training.minidag.arms import example
from seriatim.training.minidag.config import MiniDagSettings
from seriatim.training.minidag.practice import practice
from seriatim.training.minidag.task import problems
from seriatim.training.minidag.vocabulary import TOKENS
from seriatim.training.reflection.segments import Encoded, encode

BLOCK = 32
"""So many steps share a set of examples, sorted by length so that little is padded."""


@dataclass(frozen=True)
class ArmData:
    """What an arm trains on, see `data.batches.Data`. `tokenizer` is the folder that holds the tokenizer's files."""

    settings: MiniDagSettings
    seed: int
    tokenizer: Path
    symbols: Tokenizer
    held_out: tuple[Batch, ...] = ()
    vocabulary: int = len(TOKENS)
    eos_id: int = 0
    pad_id: int | None = 1
    digest: str = ""
    _cached: dict[int, list[Batch]] = field(default_factory=dict, compare=False)

    @property
    def sequence_length(self) -> int:
        return self.settings.context

    def batch(self, step: int) -> Batch:
        """The batch of `step`: practice first, then problems."""
        task = self.settings
        if step < task.practice_steps:
            return practice(step, task, self.seed, self.symbols)
        block, place = divmod(step - task.practice_steps, BLOCK)
        if block not in self._cached:
            self._cached.clear()
            self._cached[block] = self._block(block)
        return self._cached[block][place]

    def _block(self, block: int) -> list[Batch]:
        task = self.settings
        rng = random.Random(f"{self.seed} {block}")
        stream = problems(
            rng, range(1, task.operations + 1), "train", modulus=task.modulus, definitions=task.definitions
        )
        rate = None if task.error_rate < 0 else task.error_rate
        batches: list[list[Encoded]] = []
        encoded: list[Encoded] = []
        while len(batches) < BLOCK:
            made = (encode(example(next(stream), task.arm, rng, rate), self.symbols) for _ in range(4 * BLOCK))
            encoded += [each for each in made if len(each.ids) <= task.context]
            batches = buckets(encoded, task.batch_tokens)
        rng.shuffle(batches)
        return [padded(each) for each in batches[:BLOCK]]


def buckets(encoded: Sequence[Encoded], most: int) -> list[list[Encoded]]:
    """Examples of like length together, as many as give at most `most` tokens with their padding."""
    batches: list[list[Encoded]] = [[]]
    for each in sorted(encoded, key=lambda each: len(each.ids)):
        if (len(batches[-1]) + 1) * len(each.ids) > most:
            batches.append([])
        batches[-1].append(each)
    return batches


def padded(examples: Sequence[Encoded], pad_id: int = 1) -> Batch:
    """Examples as a batch, filled up on the right with `pad_id`, which nothing is learned from."""
    longest = max(len(each.ids) for each in examples) - 1
    ids_BT: NDArray[np.int64] = np.full((len(examples), longest), pad_id, dtype=np.int64)
    labels_BT = np.full_like(ids_BT, IGNORED)
    for row, each in enumerate(examples):
        ids_BT[row, : len(each.ids) - 1] = each.ids[:-1]
        labels_BT[row, : len(each.ids) - 1] = each.labels[1:]
    return Batch(ids_BT, labels_BT)
