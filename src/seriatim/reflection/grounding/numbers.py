"""Numbers in a text, in digits and in words, under every reading that makes sense."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from seriatim.reflection.grounding.english import listed
from seriatim.reflection.grounding.words import Words, fold

# A number, or a name for what is no number alone: "3.2.1", "month 5", "day 5/3".
Value = Decimal | str


@dataclass(frozen=True, slots=True)
class Number:
    """A number at `start:end` of a text.

    To stand in another text, one value of each set in `needs` must be among that text's values. `gives` are the
    values it lends to its own text. It is `casual` where it need not state a quantity ("two", "a hundred").
    """

    start: int
    end: int
    needs: tuple[frozenset[Value], ...]
    gives: frozenset[Value]
    casual: bool = False


_MONTHS = listed(
    "january february march april may june july august september october november december "
    "jan feb mar apr may jun jul aug sep oct nov dec"
)
_MONTH = {name: index % 12 + 1 for index, name in enumerate(_MONTHS)} | {"sept": 9}
_AMBIGUOUS_MONTHS = {"march", "may", "jan", "mar", "dec", "august"}

_DAYS = range(1, 32)
_BEFORE_MONTH = re.compile(r"\s?,?\s?(?:(?:day )?of\s)?")
_AFTER_MONTH = re.compile(r"\.?,?\s?(?:the\s)?")

_CARDINALS = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ORDINALS = listed(
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = (
    {word: value for value, word in enumerate(_CARDINALS)}
    | {word: value for value, word in enumerate(_ORDINALS)}
    | {word: value * 10 for value, word in enumerate(_TENS, start=2)}
    | {word[:-1] + "ieth": value * 10 for value, word in enumerate(_TENS, start=2)}
    | {"twice": 2, "thrice": 3, "threescore": 60, "fourscore": 80}
)
_SCALES = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_SCALES |= {word + "th": value for word, value in _SCALES.items() if value >= 100}
_SPELLED = frozenset(_SMALL) | frozenset(_SCALES)

_LONGEST = 40
_SEPARATORS = ".,'’\u00a0\u202f\u2009"
_DIGITS = re.compile(
    rf"(?<![^\W_])(?P<digits>\d{{1,3}}(?: \d{{3}})+(?!\d)|\d+(?:[{_SEPARATORS}/:-]\d+)*)(?P<part>[¼½¾])?"
    rf"(?:(?P<decade>['’]?s\b)|(?:st|nd|rd|th)\b|(?P<k>[kK]\b)"
    rf"|[ \u00a0-]?(?P<scale>{'|'.join(_SCALES)})\b)?",
    re.IGNORECASE,
)
_GROUPED = re.compile(rf"\d{{1,3}}(?:([{_SEPARATORS}])\d{{3}})(?:\1\d{{3}})*(?:[.,]\d+)?")
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})([./-])(\d{1,2})\5(\d{4}|\d{2})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_ROMAN_LETTERS = re.compile(r"(?<![^\W_])[IVXLCDM]{1,12}(?![^\W_])")
_ROMAN = re.compile(r"(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_NUMBERED = frozenset(
    {"chapter", "chapters", "book", "part", "volume", "vol", "act", "scene", "section", "article", "canto", "no"}
)
_PARTS = {"¼": Decimal("0.25"), "½": Decimal("0.5"), "¾": Decimal("0.75")}


def numbers_in(words: Words) -> list[Number]:
    """The numbers in a text, in order, dates of a day and a month as one."""
    found = [*_in_digits(words.text), *_in_roman(words)]
    if not _SPELLED.isdisjoint(words.folded):
        taken = {number.end for number in found}  # the "million" of "1.5 million"
        found += [number for number in _in_words(words) if number.end not in taken]
    return _with_dates(words.text, sorted(found, key=lambda number: number.start), list(_months(words)))


def _in_digits(text: str) -> Iterator[Number]:
    for match in _DIGITS.finditer(text):
        needs = _readings(match["digits"])
        values = needs[0]
        if len(needs) == 1 and all(isinstance(value, Decimal) for value in values):
            numeric = [value for value in values if isinstance(value, Decimal)]
            if match["part"]:
                values = frozenset(value + _PARTS[match["part"]] for value in numeric)
            elif match["k"]:
                values |= {value * 1000 for value in numeric}
            elif match["scale"]:
                values = frozenset(value * _SCALES[fold(match["scale"])] for value in numeric)
            needs = (values,)
        gives = frozenset(value for alternatives in needs for value in alternatives)
        if match["scale"]:
            gives |= _readings(match["digits"])[0]
        elif match["decade"] and match["digits"].isdecimal():
            needs = (frozenset(Decimal(match["digits"]) + year for year in range(10)),)
        yield Number(match.start(), match.end(), needs, gives)


def _readings(digits: str) -> tuple[frozenset[Value], ...]:
    """What digits with separators may mean: "1.851" is 1851 or 1.851, "1,851" only 1851, "3.2.1" itself."""
    if len(digits) > _LONGEST:
        return (frozenset([digits]),)
    if date := _DATE.fullmatch(digits):
        return _date_readings(date)
    if time := _TIME.fullmatch(digits):
        return (frozenset([digits, Decimal(f"{time[1]}.{time[2]}")]),)
    if " " in digits:  # "42 000" is one number or two
        joint = Decimal(digits.replace(" ", ""))
        return tuple(frozenset([Decimal(piece), joint]) for piece in digits.split())
    pieces = [piece for piece in re.split(r"[/:-]", digits) if piece]
    if len(pieces) > 1:
        return tuple(values for piece in pieces for values in _readings(piece))
    separators = [character for character in digits if not character.isdecimal()]
    values: set[Value] = set()
    if not separators:
        values.add(Decimal(digits))
    if _GROUPED.fullmatch(digits):
        whole, _, fraction = digits.rpartition(separators[-1]) if len(set(separators)) > 1 else (digits, "", "0")
        values.add(Decimal(f"{''.join(filter(str.isdecimal, whole))}.{fraction}"))
    if len(separators) == 1 and (separators == ["."] or (separators == [","] and not values)):
        values.add(Decimal(digits.replace(",", ".")))
    if values:
        return (frozenset(values),)
    if set(separators) == {"."}:
        return (frozenset([digits]),)
    return tuple(frozenset([Decimal(piece)]) for piece in re.split(rf"[{_SEPARATORS}]", digits))


def _date_readings(date: re.Match[str]) -> tuple[frozenset[Value], ...]:
    if date[1]:
        year, month, day = date[1], int(date[2]), int(date[3])
        return frozenset([Decimal(year)]), frozenset([_day(month, day)])
    one, other, year = int(date[4]), int(date[6]), date[7]
    years: set[Value] = {Decimal(year)} if len(year) == 4 else {Decimal(f"{century}{year}") for century in (18, 19, 20)}
    return frozenset(years), frozenset([_day(one, other), _day(other, one)])


def _day(month: int, day: int) -> str:
    return f"day {month}/{day}"


def _in_words(words: Words) -> Iterator[Number]:
    run: list[int] = []
    for index, word in enumerate(words.folded):
        if word not in _SPELLED:
            continue
        if run and not _continues(words, run[-1], index):
            yield from _spelled(words, run)
            run = []
        run.append(index)
    if run:
        yield from _spelled(words, run)


def _continues(words: Words, last: int, index: int) -> bool:
    """Whether the number word at `index` goes on with the number whose last word is at `last`."""
    between = words.text[words.ends[last] : words.starts[index]]
    if index == last + 1:
        return not between.strip(" \t\r\n-‐‑")
    if index != last + 2 or words.folded[last + 1] != "and" or between.strip(" \t\r\n-‐‑") != "and":
        return False
    word, following = words.folded[last], words.folded[index]
    after_scale = _SCALES.get(word, 0) >= 100 and following in _SMALL
    return after_scale or (1 <= _SMALL.get(word, 0) <= 9 and _SMALL.get(following, 0) in range(20, 100, 10))


def _spelled(words: Words, run: list[int]) -> Iterator[Number]:
    """The numbers that a run of number words makes: one, or several ("one two"), or a year ("eighteen fifty-one")."""
    groups = _evaluate([words.folded[index] for index in run])
    values = [value for value, _ in groups]
    joint: int | None = None
    if len(values) == 2 and 10 <= values[0] <= 20 and 10 <= values[1] <= 99:
        joint = values[0] * 100 + values[1]
    elif len(values) == 2 and 1 <= values[0] <= 9 and values[1] in range(20, 100, 10):
        joint = values[0] + values[1]
    if joint is not None:
        gives = frozenset(Decimal(value) for value in [*values, joint])
        yield Number(words.starts[run[0]], words.ends[run[-1]], (frozenset([Decimal(joint)]),), gives)
        return
    first = 0
    for value, count in groups:
        members = run[first : first + count]
        casual = value <= 10 or all(words.folded[index] in _SCALES for index in members)
        number = frozenset[Value]([Decimal(value)])
        yield Number(words.starts[members[0]], words.ends[members[-1]], (number,), number, casual)
        first += count


def _evaluate(run: list[str]) -> list[tuple[int, int]]:
    """The numbers that number words spell, each with how many of the words it takes."""
    numbers: list[tuple[int, int]] = []
    total = current = count = 0
    for word in run:
        scale = _SCALES.get(word)
        if scale is None:
            small = _SMALL[word]
            fits = current % 100 == 0 or (current % 10 == 0 and current % 100 >= 20 and 0 < small < 10)
            if count and not (fits and small):
                numbers.append((total + current, count))
                total = current = count = 0
            current += small
        elif scale < 1000:
            current = max(current, 1) * scale
        else:
            total, current = total + max(current, 1) * scale, 0
        count += 1
    return [*numbers, (total + current, count)]


def _in_roman(words: Words) -> Iterator[Number]:
    for match in _ROMAN_LETTERS.finditer(words.text):
        start, end = match.span()
        index = bisect_left(words.starts, start)
        numbered = index > 0 and words.folded[index - 1] in _NUMBERED
        if (numbered or end - start > 1) and _ROMAN.fullmatch(match.group()):
            value = frozenset[Value]([Decimal(_roman(match.group()))])
            yield Number(start, end, (value,) if numbered else (), value)


def _roman(numeral: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}[letter] for letter in numeral]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _months(words: Words) -> Iterator[tuple[int, int, int]]:
    """The names of months as (month, start, end)."""
    if _MONTH.keys().isdisjoint(words.folded):
        return
    for word, start, end in zip(words.folded, words.starts, words.ends, strict=True):
        if word in _MONTH and words.text[start].isupper():
            yield _MONTH[word], start, end


def _with_dates(text: str, numbers: list[Number], months: list[tuple[int, int, int]]) -> list[Number]:
    """`numbers` with the months; a day beside its month becomes one number with it."""
    result = list(numbers)
    starts = [number.start for number in numbers]
    added = []
    for month, start, end in months:
        value = frozenset[Value]([f"month {month}"])
        index = bisect_left(starts, start)
        beside = []
        if index and _BEFORE_MONTH.fullmatch(text, numbers[index - 1].end, start):
            beside.append(index - 1)
        if index < len(numbers) and _AFTER_MONTH.fullmatch(text, end, starts[index]):
            beside.append(index)
        for each in beside:
            if days := {_day(month, day) for day in _DAYS if Decimal(day) in numbers[each].gives}:
                dated = result[each]
                first, last = min(start, dated.start), max(end, dated.end)
                result[each] = Number(first, last, (frozenset(days),), dated.gives | value | days)
                break
        else:
            certain = bool(beside) or text[start:end].lower() not in _AMBIGUOUS_MONTHS
            added.append(Number(start, end, (value,) if certain else (), value))
    return sorted([*result, *added], key=lambda number: number.start)
