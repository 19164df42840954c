"""GSM8K: every `<<a*b=c>>` is computed again, and the output compared with the gold answer as a number.

Cobbe et al., arXiv 2110.14168: the annotations are the data set's own.
"""

import ast
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from seriatim.training.reflection.attempts import Attempt, Verdict, Verifier

_ANNOTATION = re.compile(r"<<([^<>=]*)=([^<>=]*)>>")
_NUMBER = re.compile(r"-?\.?\d[\d,]*(?:\.\d+)?")
_LONGEST = 200
_HIGHEST_POWER = 64
_MOST_BITS = 4096  # of a power; a few more make a number that takes minutes and gigabytes
_OPERATORS: dict[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda one, other: one + other,
    ast.Sub: lambda one, other: one - other,
    ast.Mult: lambda one, other: one * other,
    ast.Div: lambda one, other: one / other,
    ast.FloorDiv: lambda one, other: Fraction(one // other),
}


def calculator(gold: str) -> Verifier:
    """The verifier of attempts at a question whose answer is `gold`, a number (as behind GSM8K's `####`)."""
    wanted = number(gold)
    if wanted is None:
        raise ValueError(f"the gold answer {gold!r} is no number")

    def verify(tried: Attempt) -> Verdict:
        for place, step in enumerate(tried.steps):
            if found := miscalculated(step):
                return Verdict(False, place, found)
        given = number(tried.output)
        if given != wanted:
            return Verdict(False, None, "The calculations hold, but the answer is another.")
        return Verdict(True)

    return verify


def miscalculated(step: str) -> str:
    """What is wrong with the first wrong annotation of a step, in a sentence; "" where all hold."""
    for annotation in _ANNOTATION.finditer(step):
        expression, shown = annotation[1].strip(), annotation[2].strip()
        value, given = evaluate(expression), number(shown)
        if value is None or given is None:
            return f"{expression} = {shown} is no calculation."
        if not agrees(value, given):
            return f"{expression} is {_written(value)}, not {shown}."
    return ""


def evaluate(expression: str) -> Fraction | None:
    """The exact value of an expression of numbers, `+ - * / // **` and brackets; None for anything else."""
    plain = expression.replace(",", "").replace("$", "").replace("x", "*")
    plain = re.sub(r"(\d+(?:\.\d*)?|\.\d+)\s*%", r"(\1/100)", plain)
    plain = re.sub(r"(?<![\d.])0+(?=\d)", "", plain)  # 05 is no number to Python
    if len(plain) > _LONGEST:
        return None
    try:
        return _value(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def agrees(value: Fraction, shown: Decimal) -> bool:
    """Whether `shown` is `value`, or `value` rounded, or cut, to the decimals that are shown."""
    exponent = shown.as_tuple().exponent
    unit = Fraction(1, 10 ** max(0, -exponent)) if isinstance(exponent, int) else Fraction(1)
    given = Fraction(shown)
    if unit == 1:
        return given == value
    return abs(value - given) <= unit / 2 or int(value / unit) * unit == given


def number(text: str) -> Decimal | None:
    """The last number in a text, without its thousands' commas."""
    found = _NUMBER.findall(text.replace("$", ""))
    try:
        return Decimal(found[-1].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def gold_answer(answer: str) -> str:
    """What stands behind `####` in an answer of the data set."""
    return answer.rpartition("####")[2].strip()


def gold_steps(answer: str) -> tuple[str, ...]:
    """The lines of an answer of the data set before `####`."""
    return tuple(line.strip() for line in answer.rpartition("####")[0].splitlines() if line.strip())


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return Fraction(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            power = _value(right)
            if power.denominator != 1 or not 0 <= power <= _HIGHEST_POWER:
                raise ValueError("only whole, small powers are computed")
            base = _value(left)
            if (base.numerator.bit_length() + base.denominator.bit_length()) * power > _MOST_BITS:
                raise ValueError("only numbers that can be written are computed")
            return Fraction(base ** int(power))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return _OPERATORS[type(operator)](_value(left), _value(right))
    raise ValueError("not an expression of numbers")


def _written(value: Fraction) -> str:
    """A value in decimal, to four places where it has more."""
    if value.denominator == 1:
        return f"{Decimal(value.numerator):f}"  # `str` refuses very long ones
    decimal = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{decimal:.4f}".rstrip("0").rstrip(".")
