"""Text → words folded for comparison, with where each stands.

Folding takes away what models change without meaning to: case, accents, ligatures, soft hyphens, and with everything
between the words also quotation marks, dashes, line breaks and Markdown emphasis.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from seriatim.reflection.grounding.english import DIRECTIONS, META_WORDS, STOP_WORDS, denies

# Combining marks, soft hyphen and zero-width characters belong to the word they stand in.
_JOINERS = "\u0300-\u036f\u00ad\u200b-\u200d\u2060\ufeff"
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[^\W_]+(?:[{_JOINERS}]+[^\W_]*)*")
_IDEOGRAPH = re.compile(rf"[{_IDEOGRAPHS}]")
# Scripts written without spaces: each character is a word.
_WORD_OR_IDEOGRAPH = re.compile(
    rf"[{_IDEOGRAPHS}]|(?:(?![{_IDEOGRAPHS}])[^\W_])+(?:[{_JOINERS}]+(?:(?![{_IDEOGRAPHS}])[^\W_])*)*"
)
_MARK = re.compile(r"\[[\d,\s]+\]")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of `text`: each folded, and where it starts and ends in `text`.

    `squashed` is all of them without anything between, and `edges[i]` where word `i` starts there: so "sea-chest" and
    "sea chest" and a word broken over two lines compare equal.
    """

    text: str
    folded: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    squashed: str
    edges: tuple[int, ...]

    def after(self, at: int) -> str:
        """The word that follows position `at` of the text after no more than a space or a hyphen; "" without one."""
        index = bisect_left(self.starts, at)
        close = index < len(self.starts) and self.starts[index] <= at + 1
        return self.folded[index] if close else ""

    def find(self, squashed: str, first: int = 0) -> tuple[int, int] | None:
        """The words (first, end) from word `first` on that spell `squashed`, whole words only; None without any."""
        if not squashed or first >= len(self.folded):
            return None
        at = self.squashed.find(squashed, self.edges[first])
        while at >= 0:
            begin, end = bisect_left(self.edges, at), bisect_left(self.edges, at + len(squashed))
            if self.edges[begin] == at and self.edges[end] == at + len(squashed):
                return begin, end
            at = self.squashed.find(squashed, at + 1)
        return None


def words_of(text: str) -> Words:
    """The words of `text`."""
    pattern = _WORD_OR_IDEOGRAPH if _IDEOGRAPH.search(text) else _WORD
    matches = list(pattern.finditer(text))
    folded = [w.lower() if (w := match.group()).isascii() else fold(w) for match in matches]
    if not all(folded):
        matches = [match for match, word in zip(matches, folded, strict=True) if word]
        folded = [word for word in folded if word]
    return Words(
        text,
        tuple(folded),
        tuple([match.start() for match in matches]),
        tuple([match.end() for match in matches]),
        "".join(folded),
        tuple(accumulate(map(len, folded), initial=0)),
    )


def fold(word: str) -> str:
    """`word` in compatibility form, without case, accents and invisible characters."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in decomposed if character.isalnum())


def content_words(words: Iterable[str]) -> list[str]:
    """The folded `words` that carry meaning: no stop words, no words about the passages, no single letters."""
    return [w for w in words if w not in STOP_WORDS and w not in META_WORDS and (len(w) > 1 or not w.isascii())]


def say_the_same(one: str, other: str, question: str) -> bool:
    """Whether two answers to `question` add the same words to it, or one of them only more; citations don't count."""
    asked = set(words_of(question).folded)
    one, other = _MARK.sub(" ", one), _MARK.sub(" ", other)
    said, said_too = set(words_of(one).folded), set(words_of(other).folded)
    if denies(one, said) != denies(other, said_too) or (said ^ said_too) & DIRECTIONS - asked:
        return False
    new, new_too = said - asked - STOP_WORDS, said_too - asked - STOP_WORDS
    if not (new and new_too):
        new, new_too = said, said_too
    return bool(new) == bool(new_too) and (new <= new_too or new_too <= new)


def stems(words: Sequence[str]) -> dict[str, str]:
    """Each word's stem, by the English Snowball stemmer; words of other scripts stand for themselves."""
    # A stemmer must not be shared between threads, and making one costs microseconds.
    from Stemmer import Stemmer

    unique = list(dict.fromkeys(words))
    return dict(zip(unique, Stemmer("english").stemWords(unique), strict=True))
