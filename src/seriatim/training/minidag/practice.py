"""What a model practises before the task, and would learn too late or never along with it: look-up, arithmetic, and to
see that what was written is wrong. Each batch is a function of the seed and the step alone.
"""

import random
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.batches import IGNORED, Batch
from seriatim.training.minidag.config import MiniDagSettings
from seriatim.training.minidag.task import OPERATORS, VALUES, VARIABLES, Definition, step
from seriatim.training.minidag.vocabulary import TOKENS

MARK = "?"
"""What follows a mistake in practice."""
_SHORTEST, _LONGEST, _FILLED, _APART = 4, 24, 64, 340
_DRILL = 128  # tokens of a row
_TURNS = 4


def practice(number: int, settings: MiniDagSettings, seed: int, symbols: Tokenizer) -> Batch:
    """The batch of step `number`: one in four is arithmetic, one in four look-up with mistakes where any are to be
    made, the rest look-up."""
    turn = number % _TURNS
    if turn == 3:
        rng = random.Random(f"{seed} drill {number}")
        return drills(rng, settings.batch_tokens, settings.modulus, symbols, settings.practice_mistakes)
    if turn == 1 and settings.practice_mistakes:
        rng = random.Random(f"{seed} marked {number}")
        return marked(rng, settings.batch_tokens, symbols, settings.practice_mistakes)
    return repeats(np.random.default_rng([seed, 1, number]), settings.batch_tokens)


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


def marked(rng: random.Random, tokens: int, symbols: Tokenizer, mistakes: float) -> Batch:
    """Sequences that come again, in which with probability `mistakes` another symbol is written first, followed by a
    mark: to see that what was just written is not what was to come is what opening a reflection takes. Mistakes
    themselves are not learned from."""
    mark = symbols.encode(MARK)[0]
    choices = [int(id) for id in _symbols() if id != mark]
    length = rng.randint(_SHORTEST, _LONGEST)
    times = max(3, _FILLED // length)
    rows = [
        _again_with_mistakes(rng, choices, length, times, mistakes, mark) for _ in range(tokens // (times * length))
    ]
    return Batch(np.array([ids[:-1] for ids, _ in rows]), np.array([labels[1:] for _, labels in rows]))


def _again_with_mistakes(
    rng: random.Random, choices: list[int], length: int, times: int, mistakes: float, mark: int
) -> tuple[list[int], list[int]]:
    """Token ids and, of each, the id to learn: as many as `times` repetitions without mistakes have, and one more."""
    shuffled = rng.sample(choices, len(choices))
    once, others = shuffled[:length], shuffled[length:]
    ids, labels = list(once), [IGNORED] * length
    whole = times * length + 1
    while len(ids) < whole:
        for place, symbol in enumerate(once):
            if place and rng.random() < mistakes:
                ids += [rng.choice(others), mark]
                labels += [IGNORED, mark]
            ids.append(symbol)
            labels.append(symbol)
    return ids[:whole], labels[:whole]


def drills(rng: random.Random, tokens: int, modulus: int, symbols: Tokenizer, mistakes: float = 0.0) -> Batch:
    """Steps of no problem, one behind the other, learned from at their results alone; with probability `mistakes` a
    result is wrong, and the mark behind it is learned in its place."""
    rows: list[list[int]] = []
    labels: list[list[int]] = []
    for _ in range(max(1, tokens // _DRILL)):
        text, learned = "", list[bool]()
        while len(text) <= _DRILL:
            line = _any_step(rng, modulus)
            before = [False] * (len(line) - 1)
            if mistakes and rng.random() < mistakes:
                wrong = rng.choice([each for each in VALUES[:modulus] if each != line[-1]])
                text += f"{line[:-1]}{wrong}{MARK}\n"
                learned += [*before, False, True, False]
            else:
                text += f"{line}\n"
                learned += [*before, True, bool(mistakes)]
        ids = symbols.encode(text[:_DRILL])  # a token a character
        wanted = [id if known else IGNORED for id, known in zip(ids, learned, strict=False)]
        rows.append(ids)
        labels.append([*wanted[1:], IGNORED])
    return Batch(np.array(rows), np.array(labels))


def _any_step(rng: random.Random, modulus: int) -> str:
    """A right step of a definition that is made up, of small values more often than not: where all are equally likely,
    an operand alone says nothing of the result, and nothing is learned for millions of tokens."""
    name, *operands = rng.sample(VARIABLES, 3)
    values = {each: VALUES[min(rng.randrange(modulus) for _ in range(3))] for each in operands}
    left, right = (each if rng.random() < 0.5 else values[each] for each in operands)
    return step(Definition(name, left, rng.choice(OPERATORS), right), values, modulus)


@lru_cache(maxsize=1)
def _symbols() -> NDArray[np.int64]:
    return np.array([id for id, token in enumerate(TOKENS) if len(token) == 1], dtype=np.int64)
