"""An arm's batches: made as they are needed, each of them a function of the seed and the step alone.

Shapes: B sequences, T tokens.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.batches import IGNORED, Batch
from seriatim.training.minidag.arms import example
from seriatim.training.minidag.config import MiniDagSettings
from seriatim.training.minidag.task import OPERATORS, VALUES, VARIABLES, Definition, problems
from seriatim.training.minidag.task import step as made_step
from seriatim.training.minidag.vocabulary import TOKENS
from seriatim.training.reflection.segments import Encoded, encode

BLOCK = 32
"""So many steps share a set of examples, sorted by length so that little is padded."""
_SHORTEST, _LONGEST, _FILLED, _APART = 4, 24, 64, 340
_DRILL, _DRILL_EVERY = 128, 4  # tokens of a row; one batch in so many


@dataclass(frozen=True)
class ArmData:
    """What an arm trains on, see `data.batches.Data`, for so many `steps`. `tokenizer` is the folder that holds the
    tokenizer's files."""

    settings: MiniDagSettings
    seed: int
    steps: int
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
        """The batch of `step`: look-up first, every so often arithmetic, then problems."""
        task = self.settings
        if step < task.practice_steps and step % _DRILL_EVERY == _DRILL_EVERY - 1:
            return drills(random.Random(f"{self.seed} drill {step}"), task.batch_tokens, task.modulus, self.symbols)
        if step < task.practice_steps:
            return repeats(np.random.default_rng([self.seed, 1, step]), task.batch_tokens)
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
        arm = task.arm
        if arm == "F":
            finishes = block * BLOCK + task.practice_steps >= (1 - task.finish_share) * self.steps
            arm = "B'" if finishes else "A"
        rate = None if task.error_rate < 0 else task.error_rate
        batches: list[list[Encoded]] = []
        encoded: list[Encoded] = []
        while len(batches) < BLOCK:
            made = (encode(example(next(stream), arm, rng, rate), self.symbols) for _ in range(4 * BLOCK))
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


def repeats(rng: np.random.Generator, tokens: int) -> Batch:
    """Random sequences of different symbols that come again, learned from where they do: to look up what stood after
    the same symbol before is what the task needs most, and by itself learns last. Their length differs from batch to
    batch, or it would be enough to look so many places back. In every other batch they come twice, as far apart as in
    the longest responses, with other symbols between, and half of these come again backwards; else they come at least
    three times, one after the other."""
    length = int(rng.integers(_SHORTEST, _LONGEST, endpoint=True))
    apart = int(rng.integers(min(_APART, tokens - 2 * length))) if rng.random() < 0.5 else 0
    backwards = apart > 0 and rng.random() < 0.5
    times = 2 if apart else max(3, _FILLED // length)
    count = max(1, tokens // (times * length + apart))
    shuffled = rng.permuted(np.tile(_symbols(), (count, 1)), axis=1)
    once, others = shuffled[:, :length], shuffled[:, length:]
    between = np.take_along_axis(others, rng.integers(others.shape[1], size=(count, apart)), axis=1)
    again = once[:, ::-1] if backwards else once
    rows = np.concatenate([once, between, *[again] * (times - 1)], axis=1)
    labels = rows[:, 1:].copy()
    labels[:, : length + apart + backwards if apart else length - 1] = IGNORED
    return Batch(rows[:, :-1], labels)


def drills(rng: random.Random, tokens: int, modulus: int, symbols: Tokenizer) -> Batch:
    """Steps of no problem, one behind the other, learned from at their results alone: arithmetic too comes late, or in
    some runs never, where it has to be learned along with everything else."""
    rows: list[list[int]] = []
    labels: list[list[int]] = []
    for _ in range(max(1, tokens // _DRILL)):
        text = ""
        while len(text) <= _DRILL:
            text += f"{_any_step(rng, modulus)}\n"
        ids = symbols.encode(text[: _DRILL + 1])  # a token a character
        results = [id if text[place + 1] == "\n" else IGNORED for place, id in enumerate(ids[:-1])]
        rows.append(ids[:-1])
        labels.append([*results[1:], IGNORED])
    return Batch(np.array(rows), np.array(labels))


def _any_step(rng: random.Random, modulus: int) -> str:
    """A right step of a definition that is made up, of small values more often than not: where all are equally likely,
    an operand alone says nothing of the result, and nothing is learned for millions of tokens."""
    name, *operands = rng.sample(VARIABLES, 3)
    values = {each: VALUES[min(rng.randrange(modulus) for _ in range(3))] for each in operands}
    left, right = (each if rng.random() < 0.5 else values[each] for each in operands)
    return made_step(Definition(name, left, rng.choice(OPERATORS), right), values, modulus)


@lru_cache(maxsize=1)
def _symbols() -> NDArray[np.int64]:
    return np.array([id for id, token in enumerate(TOKENS) if len(token) == 1], dtype=np.int64)
