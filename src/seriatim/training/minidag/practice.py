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
from seriatim.training.minidag.task import OPERATORS, VALUES, VARIABLES, Definition, step
from seriatim.training.minidag.vocabulary import LINE_BREAK, REFLECTION, TOKENS

_Row = tuple[list[int], list[int]]  # ids, and each again where it is learned
_BREAK, _REFLECTED = TOKENS.index(LINE_BREAK), TOKENS.index("</reflection>")
_LETTERS = [TOKENS.index(each) for each in (*VARIABLES, *VALUES, *OPERATORS, "=")]
_SHORTEST, _LONGEST, _FILLED, _APART = 4, 24, 64, 340
_DRILL = 128  # tokens of a row
_TURNS = 4


def practice(number: int, settings: MiniDagSettings, seed: int, symbols: Tokenizer) -> Batch:
    """The batch of step `number`: one in four is arithmetic, one in four lines with mistakes where any are to be made,
    the rest look-up."""
    turn = number % _TURNS
    if turn == 3:
        rng = random.Random(f"{seed} drill {number}")
        return drills(rng, settings.batch_tokens, settings.modulus, symbols, settings.practice_mistakes)
    if turn == 1 and settings.practice_mistakes:
        rng = random.Random(f"{seed} lines {number}")
        return lines(rng, settings.batch_tokens, settings.practice_mistakes)
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


def lines(rng: random.Random, tokens: int, mistakes: float) -> Batch:
    """Lines of random symbols that come again and again, learned from where they do. With probability `mistakes` one
    has a wrong symbol, and a reflection behind it holds the right line: to open it takes seeing that what was just
    written is not what was to come. Neither the mistake nor what its line has behind it is learned from."""
    count, length = rng.randint(2, 5), rng.randint(3, 6)
    width = max(3 * count * (length + 1), _FILLED)
    return _batch([_lines(rng, count, length, width, mistakes) for _ in range(max(1, tokens // width))], width)


def _lines(rng: random.Random, count: int, length: int, width: int, mistakes: float) -> _Row:
    letters = rng.sample(_LETTERS, len(_LETTERS))
    once = [letters[number * length : (number + 1) * length] for number in range(count)]
    others = letters[count * length :]
    row: _Row = ([], [])
    for line in once:
        _write(row, [*line, _BREAK], [False] * (length + 1))
    while len(row[0]) <= width:
        for line in once:
            if rng.random() < mistakes:
                place = rng.randrange(1, length)
                wrong = [*line[:place], rng.choice(others), *line[place + 1 :]]
                _write(row, wrong, [before < place for before in range(length)])
                _put_right(row, line, [True] * length)
            else:
                _write(row, [*line, _BREAK], [True] * (length + 1))
    return row


def drills(rng: random.Random, tokens: int, modulus: int, symbols: Tokenizer, mistakes: float = 0.0) -> Batch:
    """Steps of no problem, one behind the other, learned from at their results: arithmetic too comes late, or in some
    runs never, where it has to be learned along with everything else. With probability `mistakes` a result is wrong,
    and a reflection puts it right; then the steps go through the alphabet, so that what follows a right one is known
    as well."""
    rows: list[_Row] = []
    for _ in range(max(1, tokens // _DRILL)):
        row: _Row = ([], [])
        place = rng.randrange(len(VARIABLES)) if mistakes else 0
        while len(row[0]) <= _DRILL:
            place += 1
            line = symbols.encode(_any_step(rng, modulus, VARIABLES[place % len(VARIABLES)] if mistakes else ""))
            known = [bool(mistakes), *[False] * (len(line) - 2), True]
            if mistakes and rng.random() < mistakes:
                wrong = rng.choice([each for each in symbols.encode(VALUES[:modulus]) if each != line[-1]])
                _write(row, [*line[:-1], wrong], [*known[:-1], False])
                _put_right(row, line, known)
            else:
                _write(row, [*line, _BREAK], [*known, False])
        rows.append(row)
    return _batch(rows, _DRILL)


def _any_step(rng: random.Random, modulus: int, name: str = "") -> str:
    """A right step of a definition that is made up, of small values more often than not: where all are equally likely,
    an operand alone says nothing of the result, and nothing is learned for millions of tokens."""
    others = VARIABLES.replace(name, "") if name else VARIABLES
    name, *operands = [name, *rng.sample(others, 2)] if name else rng.sample(others, 3)
    values = {each: VALUES[min(rng.randrange(modulus) for _ in range(3))] for each in operands}
    left, right = (each if rng.random() < 0.5 else values[each] for each in operands)
    return step(Definition(name, left, rng.choice(OPERATORS), right), values, modulus)


def _write(row: _Row, ids: Sequence[int], known: Sequence[bool]) -> None:
    """Put ids at the end of a row; those that can be `known` are learned."""
    row[0].extend(ids)
    row[1].extend(id if learned else IGNORED for id, learned in zip(ids, known, strict=True))


def _put_right(row: _Row, line: Sequence[int], known: Sequence[bool]) -> None:
    """Put a reflection that holds the right line behind a wrong one, as the task has it."""
    _write(row, [_BREAK, REFLECTION, _BREAK], [False, True, False])
    _write(row, [*line, _BREAK], [*known, False])
    _write(row, [_REFLECTED, _BREAK], [True, False])


def _batch(rows: Sequence[_Row], width: int) -> Batch:
    ids = np.array([row[0][:width] for row in rows])
    labels = np.array([[*row[1][1:width], IGNORED] for row in rows])
    return Batch(ids, labels)


@lru_cache(maxsize=1)
def _symbols() -> NDArray[np.int64]:
    return np.array([id for id, token in enumerate(TOKENS) if len(token) == 1], dtype=np.int64)
