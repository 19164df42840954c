"""A draft → its claims, and the citation marks that each carries."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from seriatim.documents.sentences import sentence_spans

_LABEL = r"(?:passages?|sources?|documents?|docs?|refs?|references?|citations?|cite|excerpts?)"
_SEPARATOR = r"\s*(?:,?\s*and\b|[,;&–—-]|\bto\b)\s*"
_LIST = rf"[0-9]{{1,3}}(?:{_SEPARATOR}(?:{_LABEL}\s*)?\#?[0-9]{{1,3}})*"
_BRACKETED = rf"(?:\[\[?|【)\s*[\^\#]?(?:{_LABEL}[\s.:\#]*)?{_LIST}\s*(?:†[^\]】\n]{{0,40}})?(?:\]\]?|】)"
_PARENTHESISED = rf"\(\s*{_LABEL}[\s.:\#]*{_LIST}\s*\)"
_ONE_MARK = rf"(?:{_BRACKETED}|{_PARENTHESISED})"
_MARK = re.compile(rf"(?P<code>`[^`\n]+`)|{_ONE_MARK}(?:[ \t]?,?[ \t]?{_ONE_MARK})*", re.IGNORECASE)
_MENTION = re.compile(rf"\b(?:passages?|excerpts?)\s+(?P<list>{_LIST})(?![\w.,]*\w)", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{1,3})\s*(?:[–—-]|\bto\b)\s*(?:[a-z]+\s*)?\#?([0-9]{1,3})", re.IGNORECASE)
_LONGEST_RANGE = 30

_ITEM = re.compile(r"(?m)^[ \t]*(?:[-*•·+–—>|]+[ \t]+|\(?[0-9]{1,2}[.):][ \t]+|\(?[a-z]\)[ \t]+|#{1,6}[ \t]+|\|)")
_QUOTATION = re.compile(
    r"""“([^“”"]{1,1500})[”"]|«([^«»]{1,1500})»|„([^„“”]{1,1500})[“”]"""
    r"""|(?<!\w)"(?=\S)([^"“”]{1,1500}?)(?<=\S)["”](?!\w)"""
    r"""|(?<!\w)‘(?=\S)((?:[^‘’]|(?<=\w)’(?=\w)){1,1500})’(?!\w)"""
    r"""|(?<!\w)'(?=\S)((?:[^']|(?<=\w)'(?=\w)){1,1500}?)(?<=\S)'(?!\w)"""
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Citations as the model wrote them, `draft[start:end]`, one mark or several in a row: the numbers they name."""

    start: int
    end: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence or list item of a draft, `draft[start:end]`; its text has spaces where citation marks stand.

    `marks` may stand in it or after it. `mentioned` are passages it names in words ("Passage 3 says").
    """

    text: str
    start: int
    end: int
    marks: tuple[Mark, ...]
    mentioned: tuple[int, ...]

    @property
    def plain(self) -> str:
        """The text on one line, without the gaps that citation marks leave."""
        return re.sub(r" (?=[.,;:!?])", "", " ".join(self.text.split()))

    @property
    def cited(self) -> tuple[int, ...]:
        """The passages it cites, in the order in which it does, each once."""
        return tuple(dict.fromkeys([*(n for mark in self.marks for n in mark.numbers), *self.mentioned]))


def claims_of(draft: str) -> list[Claim]:
    """The claims of `draft`, in order. A quotation is never divided between two."""
    marks = [mark for match in _MARK.finditer(draft) if not match["code"] for mark in [_mark(match)]]
    blank = _blanked(draft, [(mark.start, mark.end) for mark in marks])
    mentions = [(match.start("list"), _numbers(match["list"]), match.end()) for match in _MENTION.finditer(blank)]
    blank = _blanked(blank, [(start, end) for start, _, end in mentions])
    blank = _blanked(blank, [match.span() for match in _ITEM.finditer(blank)])
    spans = _spans(draft, blank)
    starts = [start for start, _ in spans]
    owned: list[list[Mark]] = [[] for _ in spans]
    for mark in marks:
        owned[_owner(draft, blank, mark, starts)].append(mark)
    named: list[list[int]] = [[] for _ in spans]
    for start, numbers, _ in mentions:
        named[max(0, bisect_right(starts, start) - 1)].extend(numbers)
    return [
        Claim(blank[start:end], start, end, tuple(own), tuple(names))
        for (start, end), own, names in zip(spans, owned, named, strict=True)
    ]


def quotations(text: str) -> list[tuple[int, int]]:
    """Where quotations stand in `text`, without their marks; one inside another counts with the outer one."""
    groups = ((match, next(n for n in range(1, 7) if match[n] is not None)) for match in _QUOTATION.finditer(text))
    return [match.span(group) for match, group in groups]


def _mark(match: re.Match[str]) -> Mark:
    return Mark(match.start(), match.end(), _numbers(match.group()))


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers in a mark, ranges written out: "1, 3-5" is 1, 3, 4, 5. What follows a † names no passage."""
    text = re.sub(r"†[^\]】]*", "", text)
    numbers: list[int] = []
    after = 0
    for match in _RANGE.finditer(text):
        numbers += map(int, re.findall(r"[0-9]+", text[after : match.start()]))
        first, last = int(match[1]), int(match[2])
        short = first <= last <= first + _LONGEST_RANGE
        numbers += range(first, last + 1) if short else (first, last)
        after = match.end()
    numbers += map(int, re.findall(r"[0-9]+", text[after:]))
    return tuple(dict.fromkeys(numbers))


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """`text`, as long as before, with spaces instead of what stands in `spans`; line breaks stay."""
    pieces, after = [], 0
    for start, end in spans:
        pieces += [text[after:start], re.sub(r"[^\r\n]", " ", text[start:end])]
        after = end
    return "".join([*pieces, text[after:]])


def _spans(draft: str, blank: str) -> list[tuple[int, int]]:
    """The spans of the claims, without the white space around them; without any word, one empty span."""
    inner = quotations(blank)
    quote_starts = [start for start, _ in inner]
    items = [match.start() for match in _ITEM.finditer(draft)]
    cuts = sorted({0, len(blank), *items, *(end for _, end in sentence_spans(blank))})
    kept = []
    for cut in cuts:
        index = bisect_right(quote_starts, cut) - 1
        inside = index >= 0 and inner[index][0] < cut < inner[index][1]
        if not inside or cut in (0, len(blank)):
            kept.append(cut)
    spans = []
    for start, end in pairwise(kept):
        text = blank[start:end]
        if any(character.isalnum() for character in text):
            spans.append((start + len(text) - len(text.lstrip()), start + len(text.rstrip())))
    return spans or [(0, 0)]


def _owner(draft: str, blank: str, mark: Mark, starts: list[int]) -> int:
    """The claim a mark belongs to: the one it stands in or after; the next one, when it opens a line before text."""
    line = draft.rfind("\n", 0, mark.start) + 1
    opens = not any(character.isalnum() for character in blank[line : mark.start])
    rest = blank[mark.end :].split("\n", 1)[0]
    position = mark.end + len(rest) - len(rest.lstrip()) if opens and rest.strip() else mark.start
    return max(0, bisect_right(starts, position) - 1)
