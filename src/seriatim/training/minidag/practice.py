"""What a model practises before the task, and would learn too late or never along with it: look-up, arithmetic, and to
see that what was written is wrong. Each batch is a function of the seed and the step alone.
"""

import random
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.batches import IGNORED, Batch
from seriatim.training.minidag.config import MiniDagSettings
from seriatim.training.minidag.padding import padded
from seriatim.training.minidag.prompts import asked, begun
from seriatim.training.minidag.task import OPERATORS, VALUES, VARIABLES, Definition, problems, step
from seriatim.training.minidag.vocabulary import LINE_BREAK, REFLECTION, TOKENS
from seriatim.training.reflection.segments import Encoded

_Row = tuple[list[int], list[int]]  # ids, and each again where it is learned
_BREAK, _REFLECTED = TOKENS.index(LINE_BREAK), TOKENS.index("</reflection>")
_SHORTEST, _LONGEST, _FILLED, _APART = 4, 24, 64, 340
_DRILL = 128  # tokens of a row, behind what it begins with
_REPAIR = 40  # more than a wrong step and its reflection take
_TURNS = 4


def practice(number: int, settings: MiniDagSettings, seed: int, symbols: Tokenizer) -> Batch:
    """The batch of step `number`: one in four is arithmetic, the rest look-up; where mistakes are to be made, in the
    second half one in two is steps with mistakes. A step behind practice rehearses these, or arithmetic."""
    rng = random.Random(f"{seed} drill {number}")
    rehearsed = number >= settings.practice_steps
    if settings.practice_mistakes and number >= settings.practice_steps // 2 and (rehearsed or number % 2):
        return mistaken(rng, settings, symbols)
    if rehearsed or number % _TURNS == _TURNS - 1:
        return drills(rng, settings.batch_tokens, settings.modulus, symbols)
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


def drills(rng: random.Random, tokens: int, modulus: int, symbols: Tokenizer) -> Batch:
    """Steps of no problem, one behind the other, learned from at their results: arithmetic too comes late, or in some
    runs never, where it has to be learned along with everything else."""
    rows = []
    for _ in range(max(1, tokens // _DRILL)):
        row: _Row = ([], [])
        while len(row[0]) <= _DRILL:
            line = symbols.encode(_any_step(rng, modulus))
            _write(row, [*line, _BREAK], [*[False] * (len(line) - 1), True, False])
        rows.append(row)
    ids = np.array([row[0][:_DRILL] for row in rows])
    labels = np.array([[*row[1][1:_DRILL], IGNORED] for row in rows])
    return Batch(ids, labels)


def mistaken(rng: random.Random, settings: MiniDagSettings, symbols: Tokenizer) -> Batch:
    """Drills whose results are wrong with probability `practice_mistakes`; a reflection puts these right.

    They stand behind the beginning of a response to a problem, which is not learned from: what is practised alone is
    told from the task by what stands before it, and the task then learned without it. They go through the alphabet, so
    that what follows a right step is known as well.
    """
    asked_for = problems(
        rng, range(1, settings.operations + 1), "train", modulus=settings.modulus, definitions=settings.definitions
    )
    rows: list[Encoded] = []
    longest = 0
    for problem in asked_for:
        beginning = asked(problem, symbols, begun(problem, []))
        row: _Row = ([], [])
        _write(row, beginning, [False] * len(beginning))
        _mistaken_steps(row, rng, settings, symbols)
        longest = max(longest, len(row[0]))
        if rows and (len(rows) + 1) * longest > settings.batch_tokens:
            break
        rows.append(Encoded(tuple(row[0]), tuple(row[1]), (None,) * len(row[0])))
    return padded(rows)


def _mistaken_steps(row: _Row, rng: random.Random, settings: MiniDagSettings, symbols: Tokenizer) -> None:
    end = min(len(row[0]) + _DRILL, settings.context - _REPAIR)
    place = rng.randrange(len(VARIABLES))
    while len(row[0]) < end:
        place += 1
        line = symbols.encode(_any_step(rng, settings.modulus, VARIABLES[place % len(VARIABLES)]))
        known = [True, *[False] * (len(line) - 2), True]
        if rng.random() < settings.practice_mistakes:
            wrong = rng.choice([each for each in symbols.encode(VALUES[: settings.modulus]) if each != line[-1]])
            _write(row, [*line[:-1], wrong, _BREAK], [*known[:-1], False, False])
            _write(row, [REFLECTION, _BREAK], [True, False])
            _write(row, [*line, _BREAK], [*known, False])
            _write(row, [_REFLECTED, _BREAK], [True, False])
        else:
            _write(row, [*line, _BREAK], [*known, False])


def _any_step(rng: random.Random, modulus: int, name: str = "") -> str:
    """A right step of a definition that is made up, of small values more often than not: where all are equally likely,
    an operand alone says nothing of the result, and nothing is learned for millions of tokens. One for `name` is of
    all values alike: whoever makes that already knows the small ones."""
    others = VARIABLES.replace(name, "") if name else VARIABLES
    draws = 1 if name else 3
    name, *operands = [name, *rng.sample(others, 2)] if name else rng.sample(others, 3)
    values = {each: VALUES[min(rng.randrange(modulus) for _ in range(draws))] for each in operands}
    left, right = (each if rng.random() < 0.5 else values[each] for each in operands)
    return step(Definition(name, left, rng.choice(OPERATORS), right), values, modulus)


def _write(row: _Row, ids: Sequence[int], known: Sequence[bool]) -> None:
    """Put ids at the end of a row; those that can be `known` are learned."""
    row[0].extend(ids)
    row[1].extend(id if learned else IGNORED for id, learned in zip(ids, known, strict=True))


@lru_cache(maxsize=1)
def _symbols() -> NDArray[np.int64]:
    return np.array([id for id, token in enumerate(TOKENS) if len(token) == 1], dtype=np.int64)
