"""The passages, prepared for looking things up: where facts stand, and which sentences speak of a claim."""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from seriatim.documents.document import Passage
from seriatim.documents.sentences import sentence_spans
from seriatim.reflection.grounding.english import PERSONAL_PRONOUNS
from seriatim.reflection.grounding.facts import Checkable
from seriatim.reflection.grounding.numbers import Number, Value, numbers_in
from seriatim.reflection.grounding.words import Words, content_words, fold, stems, words_of
from seriatim.retrieval.context import Ranked

Span = tuple[int, int]

# Rows of a table, as Markdown has them or as they are taken out of other formats; a bar in one line alone makes none.
_TABLE = re.compile(r"(?:^(?:[ \t]*\||[^|\r\n]*[^|\s] \| )[^\r\n]*(?:\r?\n|\Z)){2,}", re.MULTILINE)
_ROW = re.compile(r"[^\r\n]+(?:\r?\n|\Z)")
_PROPER = re.compile(r"(?<=[^\W\d_A-Z][\s]|[,;]\s)([A-ZÀ-Þ][^\W\d_]+)")
_WINDOW = 3
_NEAR = 2
_DERIVED = 2  # letters by which "Nantucketer" may go on beyond "Nantucket"
_BEGINNING = 5


class Source:
    """A passage as evidence. Offsets are into its text."""

    def __init__(self, passage: Passage, stem: dict[str, str], words: Words) -> None:
        self.passage = passage
        self.words = words
        self.vocabulary = frozenset(words.folded)
        self.stems = frozenset(stem[word] for word in self.vocabulary)
        self._stem = stem

    @cached_property
    def sentences(self) -> list[Span]:
        """The sentences, a partition of the text."""
        return sentence_spans(self.passage.text)

    @cached_property
    def quotable(self) -> list[Span]:
        """The sentences, but each row of a table whole and apart; a partition of the text too."""
        text = self.passage.text
        rows = [row.span() for table in _TABLE.finditer(text) for row in _ROW.finditer(text, *table.span())]
        if not rows:
            return self.sentences
        starts = [start for start, _ in rows]
        cuts = {end for _, end in self.sentences if not _is_inside(end, rows, starts)}
        return list(pairwise(sorted({0, *cuts, *(at for row in rows for at in row)})))

    @cached_property
    def sentence_stems(self) -> list[frozenset[str]]:
        """The stems of the words of each sentence."""
        return self._stems_in(self.sentences)

    @cached_property
    def quotable_stems(self) -> list[frozenset[str]]:
        """The stems of the words of each of the `quotable` spans."""
        return self._stems_in(self.quotable)

    def _stems_in(self, spans: list[Span]) -> list[frozenset[str]]:
        starts = [start for start, _ in spans]
        found: list[set[str]] = [set() for _ in starts]
        for word, at in zip(self.words.folded, self.words.starts, strict=True):
            found[bisect_right(starts, at) - 1].add(self._stem[word])
        return [frozenset(each) for each in found]

    @cached_property
    def numbers(self) -> list[Number]:
        """The numbers of the text."""
        return numbers_in(self.words)

    @cached_property
    def values(self) -> set[Value]:
        """The values of the numbers of the text, under every reading."""
        return {value for number in self.numbers for value in number.gives}

    def parts(self, squashed: Sequence[str]) -> Span | None:
        """Where a quotation stands whose parts are spelled `squashed`: from its first part to its last, in order."""
        first, bounds = 0, []
        for part in squashed:
            found = self.words.find(part, first)
            if found is None:
                return None
            bounds.append(found)
            first = found[1]
        if not bounds:
            return None
        return self.words.starts[bounds[0][0]], self.words.ends[bounds[-1][1] - 1]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The stems that a claim is about, each with its weight."""

    weights: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.weights.values())

    def without(self, stems: frozenset[str]) -> "Wanted":
        """The same but for `stems`."""
        return Wanted({stem: weight for stem, weight in self.weights.items() if stem not in stems})

    def share(self, stems: frozenset[str]) -> float:
        """How much of the claim's weight `stems` hold, from 0 to 1; 1 for a claim without content words."""
        total = self.total
        return sum(w for stem, w in self.weights.items() if stem in stems) / total if total else 1.0


class Evidence:
    """The passages a model saw, numbered from 1 in the order in which it saw them."""

    def __init__(self, passages: Sequence[Ranked]) -> None:
        split = [words_of(ranked.passage.text) for ranked in passages]
        self._stem = stems([word for words in split for word in words.folded])
        self.sources = [Source(r.passage, self._stem, words) for r, words in zip(passages, split, strict=True)]
        self._squashed = "\n".join(words.squashed for words in split)
        self._frequency = Counter(stem for source in self.sources for stem in source.stems)

    @cached_property
    def proper(self) -> frozenset[str]:
        """The words that stand with a capital inside sentences: names."""
        found = (word for s in self.sources for word in _PROPER.findall(s.passage.text))
        return frozenset(fold(word) for word in set(found))

    def stems_of(self, words: Iterable[str]) -> list[str]:
        """The stems of folded words."""
        listed = list(words)
        unknown = [word for word in listed if word not in self._stem]
        new = stems(unknown) if unknown else {}
        return [self._stem.get(word) or new[word] for word in listed]

    def wanted(self, words: Iterable[str]) -> Wanted:
        """What folded `words` are about, rare ones weighing more."""
        parts = [part for word in content_words(words) for part in self._apart(word)]
        return Wanted({stem: self._rarity(stem) for stem in self.stems_of(parts)})

    def _apart(self, word: str) -> Sequence[str]:
        """`word`, or the words by which the passages spell it ("life-buoy" for "lifebuoy"), if only so."""
        if word in self._stem or len(word) < _BEGINNING or word not in self._squashed:
            return (word,)
        found = ((source, source.words.find(word)) for source in self.sources)
        return next((source.words.folded[at[0] : at[1]] for source, at in found if at), (word,))

    def forms(self, word: str) -> frozenset[str]:
        """The words of the passages that are `word` in any form, or derived from the same name ("Nantucketer")."""
        [stem] = self.stems_of([word])
        return frozenset(self._by_stem.get(stem, ())) | {
            other for other in self._by_beginning.get(word[:_BEGINNING], ()) if _is_derived(word, other)
        }

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = {}
        for word, stem in self._stem.items():
            grouped.setdefault(stem, []).append(word)
        return grouped

    @cached_property
    def _by_beginning(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = {}
        for word in self._stem:
            if len(word) >= _BEGINNING:
                grouped.setdefault(word[:_BEGINNING], []).append(word)
        return grouped

    def _rarity(self, stem: str) -> float:
        return math.log(1 + (len(self.sources) + 1) / (self._frequency[stem] + 0.5))

    def places(self, checkable: Checkable) -> list[int]:
        """The passages in which a fact stands."""
        kind = checkable.fact.kind
        if kind == "quotation":
            return [n for n, s in enumerate(self.sources, 1) if s.parts(checkable.words)]
        if kind == "number":
            needs = checkable.values
            return [
                n for n, s in enumerate(self.sources, 1) if all(not needed.isdisjoint(s.values) for needed in needs)
            ]
        return self._places_of_name(checkable.words)

    def counts_otherwise(self, number: int, checkable: Checkable) -> bool:
        """Whether passage `number` counts what a number in the claim counts, and nowhere with its value."""
        source = self.sources[number - 1]
        forms = self.forms(checkable.counted)
        counts = [each for each in source.numbers if each.needs and source.words.after(each.end) in forms]
        return bool(counts) and not any(values & source.values for values in checkable.values)

    def _places_of_name(self, words: Sequence[str]) -> list[int]:
        """The passages that hold a part of a name, if every part stands in one: "Arthur" here, "Holmwood" there."""
        every = [self.forms(word) for word in words]
        by_word = [[n for n, s in enumerate(self.sources, 1) if not f.isdisjoint(s.vocabulary)] for f in every]
        if not all(by_word):
            return []
        whole = set(by_word[0]).intersection(*by_word[1:])
        return sorted(whole) or sorted({n for numbers in by_word for n in numbers})

    def spans(self, number: int, checkable: Checkable) -> list[Span]:
        """Where a fact stands in passage `number`."""
        source = self.sources[number - 1]
        if checkable.fact.kind == "quotation":
            span = source.parts(checkable.words)
            return [span] if span else []
        if checkable.fact.kind == "number":
            needed = frozenset(value for values in checkable.values for value in values)
            return [(n.start, n.end) for n in source.numbers if not n.gives.isdisjoint(needed)]
        forms = {form for word in checkable.words for form in self.forms(word)}
        words = source.words
        return [(a, b) for w, a, b in zip(words.folded, words.starts, words.ends, strict=True) if w in forms]

    def verbatim(self, squashed: str) -> dict[int, Span]:
        """The passages in which words so spelled stand as they are, with where."""
        if squashed not in self._squashed:
            return {}
        found = {n: source.parts([squashed]) for n, source in enumerate(self.sources, 1)}
        return {n: span for n, span in found.items() if span}

    def best_window(self, number: int, wanted: Wanted) -> tuple[Span, float]:
        """The one to three sentences of passage `number` that speak most of a claim, and how much of it (0 to 1).

        A sentence more must earn its place: by a fact, or by a good part of the claim's words.
        """
        source = self.sources[number - 1]
        return self._best(source, source.sentences, source.sentence_stems, wanted, [])

    def best_quote(self, number: int, wanted: Wanted, facts: Sequence[Checkable]) -> Span:
        """The same with as many of `facts` as can be, for a person to read: of a table, its rows."""
        source = self.sources[number - 1]
        held = [_held(source.quotable, self.spans(number, fact)) for fact in facts]
        return self._best(source, source.quotable, source.quotable_stems, wanted, held)[0]

    def _best(
        self,
        source: Source,
        sentences: list[Span],
        stems: list[frozenset[str]],
        wanted: Wanted,
        held: list[list[Span]],
    ) -> tuple[Span, float]:
        if not sentences:
            return (0, 0), 0.0
        best, best_score, best_share = (0, 1), -1.0, 0.0
        for first in range(len(sentences)):
            union: frozenset[str] = frozenset()
            for last in range(first, min(first + _WINDOW, len(sentences))):
                union |= stems[last]
                share = wanted.share(union) if wanted.weights else 0.0
                inside = sum(1 for where in held if any(first <= a and b <= last for a, b in where))
                score = inside + share - 0.12 * (last - first)
                if score > best_score + 1e-9:
                    best, best_score, best_share = (first, last + 1), score, share
        return self._trimmed(source, (sentences[best[0]][0], sentences[best[1] - 1][1])), best_share

    def are_near(self, number: int, other: int) -> bool:
        """Whether two passages stand so close in one document that the one may say "he" for the other's name."""
        one, two = self.sources[number - 1].passage, self.sources[other - 1].passage
        return one.document == two.document and abs(one.index - two.index) <= _NEAR

    def speaks_of_someone(self, number: int, span: Span, known: Set[str]) -> bool:
        """Whether `span` of a passage speaks of a person by pronouns, and by no name that is not `known`."""
        words = words_of(self.sources[number - 1].passage.text[span[0] : span[1]])
        named = any(
            word in self.proper and word not in known and words.text[start].isupper()
            for word, start in zip(words.folded, words.starts, strict=True)
        )
        return not named and not PERSONAL_PRONOUNS.isdisjoint(words.folded)

    def covering(self, number: int, span: Span) -> Span:
        """The whole sentences, or rows of a table, of passage `number` in which `span` stands."""
        source = self.sources[number - 1]
        starts = [start for start, _ in source.quotable]
        first, last = (max(0, bisect_right(starts, at) - 1) for at in (span[0], max(span[0], span[1] - 1)))
        return self._trimmed(source, (starts[first], source.quotable[last][1]))

    def _trimmed(self, source: Source, span: Span) -> Span:
        text = source.passage.text[span[0] : span[1]]
        stripped = text.strip().strip("| \t\r\n")
        start = span[0] + text.find(stripped)
        return (start, start + len(stripped)) if stripped else span


def _is_inside(at: int, rows: list[Span], starts: list[int]) -> bool:
    index = bisect_right(starts, at) - 1
    return index >= 0 and rows[index][0] < at < rows[index][1]


def _is_derived(word: str, other: str) -> bool:
    short, long = sorted((word, other), key=len)
    return len(short) >= _BEGINNING and len(long) - len(short) <= _DERIVED and long.startswith(short)


def _held(sentences: list[Span], spans: list[Span]) -> list[Span]:
    """The first and last sentence of each of `spans`."""
    starts = [start for start, _ in sentences]
    return [(bisect_right(starts, a) - 1, bisect_right(starts, max(a, b - 1)) - 1) for a, b in spans]
