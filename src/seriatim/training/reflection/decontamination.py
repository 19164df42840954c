"""Take out of training data what the benchmarks ask: questions that share 8 or 13 words in a row with one of theirs."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

T = TypeVar("T")

SIZES = (8, 13)
"""13 words in a row are sure, as GPT-3's authors had it; 8 also catch questions that were reworded at the ends."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Decontaminated(Generic[T]):
    """What was kept, and how many questions shared so many words in a row with a benchmark, by that number; each that
    shares 13 shares 8 as well. `short` counts kept questions of fewer than 8 words, which are compared whole."""

    kept: tuple[T, ...]
    hits: dict[int, int]
    short: int


def decontaminated(
    asked: Iterable[T],
    benchmark: Iterable[str],
    size: int = SIZES[0],
    *,
    question: Callable[[T], str] = attrgetter("question"),
) -> Decontaminated[T]:
    """Those whose `question`, case and punctuation aside, shares no `size` words in a row with a benchmark's
    question; a question that is shorter must not be one, or part of one, itself."""
    seen: dict[int, set[tuple[str, ...]]] = {each: set() for each in {*SIZES, size}}
    lines: list[str] = []
    for line in benchmark:
        words = _words(line)
        lines.append(f" {' '.join(words)} ")
        for each, grams in seen.items():
            grams.update(_grams(words, each))
    hits, kept, short = dict.fromkeys(sorted(seen), 0), [], 0
    for one in asked:
        words = _words(question(one))
        found = {each: any(gram in grams for gram in _grams(words, each)) for each, grams in seen.items()}
        if 0 < len(words) < size and any(f" {' '.join(words)} " in line for line in lines):
            found[size] = True
            found |= {each: True for each in found if each <= size}
        for each, hit in found.items():
            hits[each] += hit
        if not found[size]:
            kept.append(one)
            short += len(words) < size
    return Decontaminated(tuple(kept), hits, short)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _grams(words: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[start : start + size]) for start in range(len(words) - size + 1))
