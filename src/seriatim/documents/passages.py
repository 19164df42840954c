"""Text → passages that partition it: sentence-aware, or exactly N tokens each as in the OP-RAG paper (§3)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np

from seriatim.documents.document import Document, Passage
from seriatim.documents.sentences import sentence_spans
from seriatim.documents.tokens import token_ids, tokenizer

PASSAGE_TOKENS = 128
Splitting = Literal["sentences", "tokens"]

_WHITE_SPACE = re.compile(r"\s+")
_PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n\s*\Z")
_HEADING = re.compile(r"\s*(#{1,6}\s|(?:CHAPTER|BOOK|PART|ARTICLE|SECTION)\b)")


@dataclass(frozen=True, slots=True)
class Cut:
    """A document's passages with the token ids of each, so that vectors need no second tokenisation."""

    passages: tuple[Passage, ...]
    token_ids: tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, or a part of one that alone is too long: a span and its token ids."""

    start: int
    end: int
    ids: list[int]


def cut(document: Document, splitting: Splitting = "sentences", size: int = PASSAGE_TOKENS) -> Cut:
    """Cut `document` into passages of at most `size` tokens.

    "sentences" ends a passage where a sentence ends, sooner at a heading or a paragraph's end when it is nearly full;
    only a sentence longer than `size` is divided. "tokens" ends it after exactly `size` tokens, wherever that is.
    """
    groups = (_equal_groups if splitting == "tokens" else _sentence_groups)(document.text, size)
    passages, ids = [], []
    for index, group in enumerate(groups):
        start, end = group[0].start, group[-1].end
        merged = [token for unit in group for token in unit.ids]
        page = document.page_at(start)
        passages.append(Passage(document.name, index, start, end, page, document.text[start:end], len(merged)))
        ids.append(np.array(merged, dtype=np.int32))
    return Cut(tuple(passages), tuple(ids))


def _sentence_groups(text: str, size: int) -> Iterator[list[_Unit]]:
    group: list[_Unit] = []
    tokens = 0
    for unit in _units(text, size):
        full = tokens + len(unit.ids) > size
        if group and (full or _is_good_end(text, tokens, size, group[-1], unit)):
            yield group
            group, tokens = [], 0
        group.append(unit)
        tokens += len(unit.ids)
    if group:
        yield group


def _is_good_end(text: str, tokens: int, size: int, last: _Unit, following: _Unit) -> bool:
    """Whether to end before the passage is full: at a heading once it is a quarter full, or at a paragraph's end
    once what is left would hold only the beginning of the next paragraph."""
    if tokens < size // 4 or not _PARAGRAPH_END.search(text[last.start : last.end]):
        return False
    return tokens >= size * 3 // 4 or bool(_HEADING.match(text, following.start, following.end))


def _units(text: str, size: int) -> Iterator[_Unit]:
    # A sentence this long is cut before it is tokenised: no token has more than 16 characters, but for runs of blanks.
    spans = [
        span
        for start, end in sentence_spans(text)
        for span in ([(start, end)] if end - start <= 16 * size else _parts(text, start, end, size))
    ]
    return _fitting(text, spans, size)


def _fitting(text: str, spans: list[tuple[int, int]], size: int) -> Iterator[_Unit]:
    """The spans as units; one of more than `size` tokens in parts."""
    for (start, end), ids in zip(spans, token_ids([text[s:e] for s, e in spans]), strict=True):
        if len(ids) <= size or end - start == 1:
            yield _Unit(start, end, ids)
        else:
            yield from _fitting(text, _parts(text, start, end, size), size)


def _parts(text: str, start: int, end: int, size: int) -> list[tuple[int, int]]:
    """A span in parts of about `size` characters, between whole words but in one that is very long; else its halves."""
    part = re.compile(rf".{{0,{size - 1}}}\s(?=\S)|\S{{1,{4 * size}}}\s?|.{{1,{size}}}", re.DOTALL)
    spans = [match.span() for match in part.finditer(text, start, end)]
    middle = (start + end) // 2
    return spans if len(spans) > 1 else [(start, middle), (middle, end)]


def _equal_groups(text: str, size: int) -> Iterator[list[_Unit]]:
    """Groups of exactly `size` tokens (the last may be shorter), cut where a token starts.

    A character that makes several tokens is never divided: a cut that would fall inside it moves to its end.
    """
    starts, ids = located_tokens(text)
    first = 0
    while first < len(ids):
        last = min(first + size, len(ids))
        while last < len(ids) and starts[last] == starts[last - 1]:
            last += 1
        start = starts[first] if first else 0
        end = starts[last] if last < len(ids) else len(text)
        yield [_Unit(start, end, ids[first:last])]
        first = last


def located_tokens(text: str) -> tuple[list[int], list[int]]:
    """Where each token of `text` starts, and its id; runs of white space count as one space, as everywhere."""
    is_space = np.fromiter((character.isspace() for character in text), dtype=bool, count=len(text))
    kept = np.flatnonzero(~is_space | ~np.concatenate(([False], is_space[:-1])))
    collapsed = _WHITE_SPACE.sub(" ", text)
    starts: list[int] = []
    ids: list[int] = []
    for start, end in _blocks(collapsed):
        encoding = tokenizer().encode(collapsed[start:end], add_special_tokens=False)
        starts += [int(kept[start + offset]) for offset, _ in encoding.offsets]
        ids += encoding.ids
    return starts, ids


def _blocks(text: str, characters: int = 20_000) -> list[tuple[int, int]]:
    """Spans of about `characters` that end at sentences, so that tokenising a book stays linear in time."""
    ends = [end for _, end in sentence_spans(text)]
    reached = accumulate(ends, lambda last, end: end if end - last >= characters else last, initial=0)
    bounds = sorted({0, *reached, len(text)})
    return [(a, b) for a, b in pairwise(bounds) if b > a]
