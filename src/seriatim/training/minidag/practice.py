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


def practice(number: int, settings: MiniDagSettings, seed: int, symbols: Tokenizer) -> Batch:
    """The batch of step `number`: one in four is arithmetic, the rest look-up.

    Where mistakes are to be made, in the third quarter one in two is arithmetic with mistakes, in the last these stand
    `in_place`. A step behind practice rehearses the latter, or else arithmetic.
    """
    rng = random.Random(f"{seed} drill {number}")
    tokens, modulus, mistakes = settings.batch_tokens, settings.modulus, settings.practice_mistakes
    passed = number / max(1, settings.practice_steps)
    if mistakes and (passed >= 1 or (passed >= 0.75 and number % 2)):
        return in_place(rng, settings, symbols)
    if mistakes and passed >= 0.5 and number % 2:
        return drills(rng, tokens, modulus, symbols, mistakes)
    if passed >= 1 or number % 4 == 3:
        return drills(rng, tokens, modulus, symbols)
    return repeats(np.random.default_rng([seed, 1, number]), tokens)


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


def drills(rng: random.Random, tokens: int, modulus: int, symbols: Tokenizer, mistakes: float = 0.0) -> Batch:
    """Steps of no problem, one behind the other, learned from at their results: arithmetic too comes late, or in some
    runs never, where it has to be learned along with everything else. With probability `mistakes` a result is wrong,
    and a reflection puts it right; then the steps go through the alphabet, so that what follows a right one is known
    as well. Values are small more often than not: where all are equally likely, an operand alone says nothing of the
    result, and nothing is learned for millions of tokens."""
    rows: list[_Row] = []
    for _ in range(max(1, tokens // _DRILL)):
        row: _Row = ([], [])
        _drill(row, _DRILL + 1, rng, modulus, symbols, mistakes, draws=3)
        rows.append(row)
    ids = np.array([row[0][:_DRILL] for row in rows])
    labels = np.array([[*row[1][1:_DRILL], IGNORED] for row in rows])
    return Batch(ids, labels)


def in_place(rng: random.Random, settings: MiniDagSettings, symbols: Tokenizer) -> Batch:
    """Drills with mistakes where the task has its steps, behind a problem and its plan, which are not learned:
    what is practised alone is told from the task by what stands before it, and the task learned without it. Every
    other row has all values alike, as the task does."""
    asked_for = problems(
        rng, range(1, settings.operations + 1), "train", modulus=settings.modulus, definitions=settings.definitions
    )
    rows: list[Encoded] = []
    longest = 0
    for problem in asked_for:
        beginning = asked(problem, symbols, begun(problem, []))
        row: _Row = ([], [])
        _write(row, beginning, [False] * len(beginning))
        end = min(len(beginning) + _DRILL, settings.context - _REPAIR)
        _drill(row, end, rng, settings.modulus, symbols, settings.practice_mistakes, draws=rng.choice((1, 3)))
        longest = max(longest, len(row[0]))
        if rows and (len(rows) + 1) * longest > settings.batch_tokens:
            break
        rows.append(Encoded(tuple(row[0]), tuple(row[1]), (None,) * len(row[0])))
    return padded(rows)


def _drill(
    row: _Row, end: int, rng: random.Random, modulus: int, symbols: Tokenizer, mistakes: float, *, draws: int
) -> None:
    """Put steps at the end of a row until it is `end` long; a value is the least of `draws`."""
    place = rng.randrange(len(VARIABLES)) if mistakes else 0
    while len(row[0]) < end:
        place += 1
        line = symbols.encode(_any_step(rng, modulus, VARIABLES[place % len(VARIABLES)] if mistakes else "", draws))
        known = [bool(mistakes), *[False] * (len(line) - 2), True]
        if mistakes and rng.random() < mistakes:
            wrong = rng.choice([each for each in symbols.encode(VALUES[:modulus]) if each != line[-1]])
            _write(row, [*line[:-1], wrong, _BREAK], [*known[:-1], False, False])
            _write(row, [REFLECTION, _BREAK], [True, False])
            _write(row, [*line, _BREAK], [*known, False])
            _write(row, [_REFLECTED, _BREAK], [True, False])
        else:
            _write(row, [*line, _BREAK], [*known, False])


def _any_step(rng: random.Random, modulus: int, name: str, draws: int) -> str:
    """A right step of a definition that is made up, for `name` or for any."""
    others = VARIABLES.replace(name, "") if name else VARIABLES
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
