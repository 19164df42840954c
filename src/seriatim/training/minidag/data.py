"""An arm's batches: made as they are needed, each of them a function of the seed and the step alone.

Shapes: B sequences, T tokens.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.batches import Batch
from seriatim.training.minidag.arms import example
from seriatim.training.minidag.config import MiniDagSettings
from seriatim.training.minidag.padding import buckets, padded
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
        """The batch of `step`: practice first, then problems, between which practice is rehearsed."""
        task = self.settings
        behind = step - task.practice_steps
        rehearsed = behind // task.rehearsal if task.rehearsal else 0
        if behind < 0 or (task.rehearsal and (behind + 1) % task.rehearsal == 0):
            return practice(step, task, self.seed, self.symbols)
        block, place = divmod(behind - rehearsed, BLOCK)
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
            examples = (example(next(stream), task.arm, rng, rate, task.mistakes) for _ in range(4 * BLOCK))
            made = (encode(each, self.symbols) for each in examples)
            encoded += [each for each in made if len(each.ids) <= task.context]
            batches = buckets(encoded, task.batch_tokens)
        rng.shuffle(batches)
        return [padded(each) for each in batches[:BLOCK]]
