"""A claim → what in it can be looked up: quotations, numbers and names."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Literal

from seriatim.reflection.grounding.claims import Claim, quotations
from seriatim.reflection.grounding.english import NAME_LINKS, STOP_WORDS, TITLE_LINKS, TITLES
from seriatim.reflection.grounding.numbers import Number, Value, numbers_in
from seriatim.reflection.grounding.words import Words, content_words, words_of

FactKind = Literal["quotation", "number", "name", "claim", "citation"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something in a draft, `draft[start:end]`, that the passages must bear out.

    A "claim" is a whole statement judged by its words, a "citation" the number of a passage that does not exist.
    """

    kind: FactKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Checkable:
    """A fact with what to look for: the parts of a quotation in order, the words of a name, or the values of a number.

    `counted` is what a small number in words counts ("three boats"): such a number proves little, and is at fault
    only where a passage counts the same otherwise.
    """

    fact: Fact
    words: tuple[str, ...] = ()
    values: tuple[frozenset[Value], ...] = ()
    counted: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question already says, and so proves nothing in an answer."""

    words: Words
    vocabulary: frozenset[str]
    values: frozenset[Value]
    offers_choice: bool
    wants_quantity: bool


_QUANTITY = re.compile(
    r"\bhow (?:many|much|old|long|far|often|tall|deep|large|big|high|wide|heavy|fast|late|early)\b|\bwhen\b"
    r"|\b(?:what|which) (?:year|date|number|percentage|amount|age|time|day|chapter|price|sum|proportion)\b",
    re.IGNORECASE,
)
_SHORT_ANSWER = 6
_ELLIPSIS = re.compile(r"\.{3,}|…|\. \. \.|⋯|\[[^\]\n]{0,60}\]")
# Between the words of one name: "J. R. Smith", "Sag-Harbor", "O'Brien", "Cape of Good Hope".
_NAME_GAP = re.compile(r"\.?\s{1,2}|[-‐‑'’&]|\s&\s")
_STARTS_SENTENCE = re.compile(r"(?:^|[.!?:;…(\[“\"‘«|\n]|[-–—]\s)[\s*_“\"‘'«(\[]*$")
# The heading of a list item ("**Main Theme:** …"), whose capitals prove nothing.
_LABEL = re.compile(r"[^.!?:\n]{1,40}:(?=[\s*_]|$)")


def asked(question: str, names: str = "") -> Asked:
    """What `question` says; `names` of its documents count as said too."""
    words = words_of(question)
    values = frozenset(value for number in numbers_in(words) for value in number.gives)
    vocabulary = frozenset(words.folded) | frozenset(words_of(names).folded)
    choice = re.search(r"\bor\b", question, re.IGNORECASE) is not None
    return Asked(words, vocabulary, values, choice, _QUANTITY.search(question) is not None)


def facts_of(claim: Claim, known: Asked, proper: Set[str]) -> list[Checkable]:
    """The quotations, numbers and names of `claim` that the question does not supply, in order.

    `proper` are words known to be names wherever they stand; a word that opens a sentence is a name only then.
    A number of the question needs no proof beside something else that is said, but does where the question offers a
    choice or the claim says nothing more.
    """
    quoted = list(_quotations(claim, known))
    rest = claim.text
    for each in quoted:
        start, end = each.fact.start - claim.start, each.fact.end - claim.start
        rest = rest[:start] + " " * (end - start) + rest[end:]
    words = words_of(rest)
    numbers = numbers_in(words)
    counted = list(_numbers(claim, words, numbers, known))
    named = list(_names(claim, words, numbers, known, proper))
    new = [c for c in counted if known.offers_choice or not _is_supplied(c, known)]
    if not any((quoted, named, [c for c in new if not c.counted])) and not _says_more(words, numbers, known):
        new = [c for c in counted if not c.counted or c in new]
    return sorted([*quoted, *new, *named], key=lambda checkable: checkable.fact.start)


def _fact(kind: FactKind, claim: Claim, start: int, end: int) -> Fact:
    return Fact(kind, claim.text[start:end], claim.start + start, claim.start + end)


def _quotations(claim: Claim, known: Asked) -> Iterator[Checkable]:
    for start, end in quotations(claim.text):
        text = claim.text[start:end]
        parts = [words_of(part) for part in _ELLIPSIS.split(text)]
        spelled = tuple(part.squashed for part in parts if part.squashed)
        count = sum(len(part.folded) for part in parts)
        checkable = count >= 2 or sum(map(len, spelled)) >= 8
        if checkable and not _is_title(text) and not all(known.words.find(part) for part in spelled):
            yield Checkable(_fact("quotation", claim, start, end), spelled)


def _is_title(text: str) -> bool:
    """Whether quotation marks hold a title, with its words capitalised, rather than someone's words."""
    words = re.findall(r"[^\W\d_]+", text)
    capitals = [word for word in words if word[0].isupper()]
    others = all(word in TITLE_LINKS for word in words if not word[0].isupper())
    return bool(capitals) and others and len(text) < 80 and not text.rstrip().endswith((".", "!", "?", ","))


def _numbers(claim: Claim, words: Words, numbers: list[Number], known: Asked) -> Iterator[Checkable]:
    for number in numbers:
        fact = _fact("number", claim, number.start, number.end)
        one = number.casual and number.gives == frozenset([1]) and len(words.folded) > _SHORT_ANSWER
        if number.needs and (not number.casual or (known.wants_quantity and not one)):
            yield Checkable(fact, values=number.needs)
        elif number.casual and (counted := words.after(number.end)):
            yield Checkable(fact, values=number.needs, counted=counted)


def _is_supplied(checkable: Checkable, known: Asked) -> bool:
    return all(not alternatives.isdisjoint(known.values) for alternatives in checkable.values)


def _says_more(words: Words, numbers: list[Number], known: Asked) -> bool:
    """Whether a text without quotations has words of its own beside its numbers."""
    taken = _inside(numbers, words)
    own = [word for index, word in enumerate(words.folded) if index not in taken]
    return any(word not in known.vocabulary for word in content_words(own))


def _inside(numbers: list[Number], words: Words) -> set[int]:
    """The words that are part of numbers."""
    return {i for n in numbers for i in range(bisect_left(words.starts, n.start), bisect_left(words.starts, n.end))}


def _names(claim: Claim, words: Words, numbers: list[Number], known: Asked, proper: Set[str]) -> Iterator[Checkable]:
    label = match.end() if (match := _LABEL.match(words.text)) else 0
    for run in _capitalised_runs(words, _inside(numbers, words)):
        needed = [
            index
            for index in run
            if _is_distinctive(words.folded[index], known)
            and (words.folded[index] in proper or words.starts[index] >= label)
            and (words.folded[index] in proper or index != run[0] or not _opens_sentence(words, index))
        ]
        if needed:
            start, end = words.starts[needed[0]], words.ends[run[-1]]
            yield Checkable(_fact("name", claim, start, end), tuple(words.folded[index] for index in needed))


def _capitalised_runs(words: Words, without: Set[int]) -> Iterator[list[int]]:
    """Runs of words that make a name: capitals, and small links between two of them."""
    run: list[int] = []
    for index in range(len(words.folded)):
        if not words.text[words.starts[index]].isupper() or index in without:
            continue
        if run and not _linked(words, run[-1], index):
            yield run
            run = []
        run.append(index)
    if run:
        yield run


def _linked(words: Words, last: int, index: int) -> bool:
    if index - last > 3 or any(word not in NAME_LINKS for word in words.folded[last + 1 : index]):
        return False
    gaps = (words.text[words.ends[i] : words.starts[i + 1]] for i in range(last, index))
    return all(_NAME_GAP.fullmatch(gap) for gap in gaps)


def _is_distinctive(word: str, known: Asked) -> bool:
    common = word in STOP_WORDS or word in TITLES or word in known.vocabulary
    return not common and len(word) > 1 and bool(content_words([word]))


def _opens_sentence(words: Words, index: int) -> bool:
    at = words.starts[index]
    return _STARTS_SENTENCE.search(words.text[max(0, at - 12) : at]) is not None if at else True
