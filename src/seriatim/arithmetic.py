"""Numbers and arithmetic in a text: its last number, and every equation that can be read without guessing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_TOKEN = re.compile(rf"\s*(?:(?P<number>{NUMBER})(?P<percent>\s?%)?|(?P<sign>[-+*/()]))")
# What may stand left of "=": numbers and signs, back to the last character that is neither.
_LEFT = re.compile(r"[\d\s.,%$+\-*/()]*$")
_RIGHT = re.compile(rf"\s*\$?\s*(?P<sign>-?)\$?(?P<number>{NUMBER})(?P<percent>\s?%)?")
_GOES_ON = re.compile(r"\s*[-+*/^(]\s*[\w($\\]|[\w^,.]\d|[:\w]|\s*\\frac|\s+(?:and\s+)?\(?\$?\d+/\d|\s\d{3}\b")
_LONGEST, _MOST_BRACKETS = 1000, 50  # characters of a side, and brackets in it; what has more is not read
_LAST = re.compile(rf"(?<![\w.,])(-\s?)?\$?\s?(-)?({NUMBER})")
_LISTED = re.compile(r"^\s*(?:[-*+]\s+|\d+[.)]\s+)")
# Other ways of writing a sign; each is replaced by as many characters, so that places in the text stay what they are.
_SIGNS = (
    (re.compile(r"\\(?:times|cdot)\b|×|·"), "*"),
    (re.compile(r"\\div\b|÷"), "/"),
    (re.compile(r"−|–"), "-"),
    (re.compile(r"(?<=[\d)%])\s*[xX]\s*(?=[\d($])"), "*"),
    (re.compile(r"\\[$()\[\]]"), ""),
)


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation that does not hold: `text` as it stands, what its left side is, and where in the whole it ends."""

    text: str
    value: str
    end: int


def number_in(text: str) -> Decimal | None:
    """The last number in `text`; "$1,234.50" is one. None where there is none."""
    found = list(_LAST.finditer(text.replace("−", "-").replace("*", "")))
    if not found:
        return None
    sign = "-" if found[-1][1] or found[-1][2] else ""
    return Decimal(sign + found[-1][3].replace(",", ""))


def first_wrong(text: str) -> Equation | None:
    """The first equation in `text` that does not hold; None where none is found.

    Read are sums of plain numbers like "16 - 3 - 4 = 9", "$9 x 2 = $18", "<<20%*50=10>>" or "10 / 3 = 3.33", whose
    right side may be rounded. A side with a word, a letter or a unit in it is not read, nor one of great length.
    """
    return next(_wrong(text), None)


def _wrong(text: str) -> Iterator[Equation]:
    plain = text
    for pattern, sign in _SIGNS:
        plain = pattern.sub(lambda found, sign=sign: sign.rjust(len(found[0])), plain)  # type: ignore[misc]
    for place in (each.start() for each in re.finditer("=", plain)):
        left, start = _left(plain, place)
        right = _RIGHT.match(plain, place + 1)
        if left is None or right is None or len(right[0]) > _LONGEST or _goes_on(plain, right.end()):
            continue
        if not _agree(left, right):
            yield Equation(" ".join(text[start : right.end()].split()), _written(left), right.end())


def _left(text: str, place: int) -> tuple[Fraction | None, int]:
    """What the sum before `place` comes to, None where there is none, and where it starts."""
    line = text.rfind("\n", 0, place) + 1
    found = _LEFT.search(text, line, place)
    start = found.start() if found else place
    piece = text[start:place]
    listed = _LISTED.match(piece) if start == line else None
    start += listed.end() if listed else 0
    piece = text[start:place].replace("$", " ")
    # A letter or a caret right before, as in "2x + 3" or "x^2 - 1", belongs to the sum: it is not one of numbers.
    before = text[line:start].rstrip()
    if before.endswith(("^", "_", "=", "}")) or re.search(r"(?:\w[-/]|\bof)$", before):
        return None, start
    return _value(piece), start + len(piece) - len(piece.lstrip())


def _goes_on(text: str, end: int) -> bool:
    """Whether the right side is a sum itself, a mixed number like "3 1/2", or the beginning of what is no number."""
    return bool(_GOES_ON.match(text, end))


def _agree(left: Fraction, right: re.Match[str]) -> bool:
    digits = right["number"].replace(",", "")
    value = Fraction(digits) * (-1 if right["sign"] else 1)
    decimals = len(digits.partition(".")[2])
    unit = Fraction(1, 10**decimals)
    for said, last in ((value, unit), (value / 100, unit / 100)) if right["percent"] else ((value, unit),):
        if left == said or (decimals and abs(left - said) < last):
            return True
    return False


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    decimal = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{decimal:.4f}".rstrip("0").rstrip(".")


def _value(expression: str) -> Fraction | None:
    """The value of a sum with at least one operation; None for anything else, and for a division by zero."""
    if len(expression) > _LONGEST or expression.count("(") > _MOST_BRACKETS:
        return None
    tokens = list(_tokens(expression))
    if not any(each in "+-*/" for each in tokens) or tokens[0] in "+-*/":
        return None
    try:
        value, rest = _sum(tokens)
    except (ValueError, IndexError, ZeroDivisionError):
        return None
    return None if rest else value


def _tokens(expression: str) -> Iterator[str]:
    place = 0
    end = len(expression.rstrip())
    while place < end:
        found = _TOKEN.match(expression, place)
        if not found:
            yield "?"  # no token: what it stands in is no sum
            return
        number = found["number"]
        yield f"{number.replace(',', '')}{'%' if found['percent'] else ''}" if number else found["sign"]
        place = found.end()


def _sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _product(tokens)
    while rest and rest[0] in "+-":
        term, after = _product(rest[1:])
        value, rest = (value + term if rest[0] == "+" else value - term), after
    return value, rest


def _product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _factor(tokens)
    while rest and rest[0] in "*/":
        factor, after = _factor(rest[1:])
        value, rest = (value * factor if rest[0] == "*" else value / factor), after
    return value, rest


def _factor(tokens: list[str]) -> tuple[Fraction, list[str]]:
    first, rest = tokens[0], tokens[1:]
    if first == "(":
        value, rest = _sum(rest)
        if rest[0] != ")":
            raise ValueError("an open bracket")
        return value, rest[1:]
    return (Fraction(first[:-1]) / 100 if first.endswith("%") else Fraction(first)), rest
