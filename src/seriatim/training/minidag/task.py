"""The task: arithmetic over a shuffled dependency graph, with distractors and one query.

A problem is a line a definition, then the query; a response plans backwards from the query, then takes one step a line:

    f=c+b               plan        f=c+b
    b=3+4                           c=9-d
    c=9-d                           d=5-1
    d=5-1               step        d=5-1=d4
    e=b+1               step        c=9-d4=c5
    ?f                  step        b=3+4=b7
                        step        f=c5+b7=f2
                        output      2

A step names its variable, repeats the definition with the operands' values beside them, and gives the result beside
the variable's name, so that a value stands behind its variable wherever it is looked up. A step that was wrong
(`c=9-d8=c1`) is followed by a reflection that holds the right one. The tags are those of the house's template.
"""

import hashlib
import operator
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from seriatim.errors import UsageError

VARIABLES = "abcdefghijklmnopqrstuvwxyz"
VALUES = "0123456789ABCDEFGHIJKLM"
_COMPUTED: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
OPERATORS = "".join(_COMPUTED)
HELD_OUT = 10
"""One in so many structures is never trained on; the test sets have no others."""
_BRANCHING = 0.4
_MISSES = 20_000  # so often in a row nothing new is drawn, and there is nothing new

_STEP = re.compile(rf"([a-z])=([a-z]?)([{VALUES}])([-+*])([a-z]?)([{VALUES}])=([a-z])([{VALUES}])")
_RESPONSE = re.compile(
    r"<thinking>\n<plan>\n[^<>]*\n</plan>\n.*</thinking>\n<output>\n(?P<output>[^<>]*)\n</output>",
    re.DOTALL,
)
_REFLECTION = re.compile(r"<reflection>\n(.*?)\n</reflection>\n", re.DOTALL)

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Definition:
    """`name = left operator right`; an operand is a variable's name or a value."""

    name: str
    left: str
    operator: str
    right: str

    @property
    def operands(self) -> tuple[str, ...]:
        """The variables among the operands."""
        return tuple(each for each in (self.left, self.right) if each in VARIABLES)

    def __str__(self) -> str:
        return f"{self.name}={self.left}{self.operator}{self.right}"


@dataclass(frozen=True)
class Problem:
    """Definitions in the order in which they stand, and the variable that is asked for; values are taken modulo
    `modulus`."""

    definitions: tuple[Definition, ...]
    query: str
    modulus: int = 10

    @cached_property
    def of(self) -> dict[str, Definition]:
        """Each variable's definition."""
        return {each.name: each for each in self.definitions}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The variables that the query needs, each after its operands, the query last; of two operands the one that
        needs others first."""
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in order:
                for operand in sorted(self.of[name].operands, key=lambda each: not self.of[each].operands):
                    visit(operand)
                order[name] = None

        visit(self.query)
        return tuple(order)

    @cached_property
    def values(self) -> dict[str, str]:
        """The value of each variable that the query needs."""
        values: dict[str, str] = {}
        for name in self.order:
            each = self.of[name]
            left, right = values.get(each.left, each.left), values.get(each.right, each.right)
            values[name] = result(left, each.operator, right, self.modulus)
        return values

    @property
    def prompt(self) -> str:
        """What the model is asked."""
        return "".join(f"{each}\n" for each in self.definitions) + f"?{self.query}"

    @property
    def plan(self) -> str:
        """Backwards from the query the definition of each variable that needs others; last the one to begin with."""
        needing = [name for name in reversed(self.order) if self.of[name].operands or name == self.order[0]]
        return "\n".join(str(self.of[name]) for name in needing)

    @property
    def answer(self) -> str:
        return self.values[self.query]

    @property
    def steps(self) -> list[str]:
        """The right steps in their order."""
        return [self.step(name) for name in self.order]

    def step(self, name: str) -> str:
        """The right step for a variable that the query needs."""
        return step(self.of[name], self.values, self.modulus)

    @property
    def structure(self) -> str:
        """A hash of what the query needs, without names, values and distractors: which operators, over which steps."""
        place = {name: str(number) for number, name in enumerate(self.order)}
        form = ";".join(
            f"{place.get(each.left, '#')}{each.operator}{place.get(each.right, '#')}"
            for each in (self.of[name] for name in self.order)
        )
        return hashlib.sha256(form.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a response's steps."""

    text: str
    reflection: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What the verifier says of a response. `answered` is the output, "" where the form is broken.

    `first_wrong` is the place, among the lines of the steps, of the first wrong one that no reflection puts right; None
    where all are right. A reflection of one line stands for the line before it, one of several begins anew. `retries`
    counts reflections, `needless` those whose line had been right, `repaired` those that put a wrong one right.
    """

    correct: bool
    answered: str
    first_wrong: int | None
    retries: int = 0
    needless: int = 0
    repaired: int = 0

    @property
    def sound(self) -> bool:
        """Right in its answer and in every step."""
        return self.correct and self.first_wrong is None


def result(left: str, sign: str, right: str, modulus: int) -> str:
    """The value of `left sign right`, all of them symbols of `VALUES`."""
    one, other = VALUES.index(left), VALUES.index(right)
    return VALUES[_COMPUTED[sign](one, other) % modulus]


def step(definition: Definition, values: dict[str, str], modulus: int) -> str:
    """The step of a definition over the operands' `values`."""
    left, right = (values.get(each, each) for each in (definition.left, definition.right))
    shown = [
        value if each == value else each + value for each, value in ((definition.left, left), (definition.right, right))
    ]
    value = result(left, definition.operator, right, modulus)
    return f"{definition.name}={shown[0]}{definition.operator}{shown[1]}={definition.name}{value}"


def generate(rng: random.Random, operations: int, *, distractors: int, modulus: int = 10) -> Problem:
    """A problem that takes so many operations: a chain of variables down from the query, some of which need another
    variable besides, on their right, that is made of values alone. Distractors use what they like of the rest."""
    names = rng.sample(VARIABLES, operations + distractors)
    slots: list[list[str]] = [["", ""] for _ in names]
    user = operations - 1
    for place in reversed(range(operations - 1)):
        if slots[user][1] or rng.random() >= _BRANCHING:
            side = 0 if slots[user][1] else rng.choice((0, 1))
            slots[user][side] = names[place]
            user = place
        else:
            slots[user][1] = names[place]
    for place, operands in enumerate(slots):
        for side in (0, 1):
            if not operands[side]:
                others = [name for name in names[:place] if name not in operands] if place >= operations else []
                shared = others and rng.random() < 0.5
                operands[side] = rng.choice(others) if shared else rng.choice(VALUES[:modulus])
    definitions = [
        Definition(name, left, rng.choice(OPERATORS), right) for name, (left, right) in zip(names, slots, strict=True)
    ]
    rng.shuffle(definitions)
    return Problem(tuple(definitions), names[operations - 1], modulus)


def is_held_out(problem: Problem) -> bool:
    """Whether the problem's structure belongs to the test sets."""
    return int(problem.structure, 16) % HELD_OUT == 0


def problems(
    rng: random.Random, operations: Sequence[int], split: Split, *, modulus: int = 10, definitions: int = 15
) -> Iterator[Problem]:
    """Problems without end, each of some number of `operations`, and filled up with distractors to some number of
    definitions up to `definitions`. Training and test share no structure, and no two to test on do; raises `UsageError`
    where there are no more of them."""
    seen: set[str] = set()
    missed = 0
    while missed < _MISSES:
        count = rng.choice(operations)
        distractors = rng.randint(0, max(0, definitions - count))
        problem = generate(rng, count, distractors=distractors, modulus=modulus)
        if is_held_out(problem) != (split == "test") or problem.structure in seen:
            missed += 1
            continue
        if split == "test":
            seen.add(problem.structure)
        missed = 0
        yield problem
    raise UsageError(
        f"no more than {len(seen)} problems of {min(operations)} to {max(operations)} operations to {split} on were "
        "found; ask for fewer, or for more operations"
    )


def check_step(problem: Problem, line: str, known: dict[str, str]) -> bool:
    """Whether a step follows from the problem and from the values that are `known`: the right definition, operands with
    their values, the right result."""
    found = _STEP.fullmatch(line)
    definition = problem.of.get(found[1]) if found else None
    if found is None or definition is None:
        return False
    return all(each in known for each in definition.operands) and line == step(definition, known, problem.modulus)


def check(problem: Problem, text: str) -> Check:
    """Verify a response line by line, exactly. Values are the right ones, whatever the response made of them."""
    form = _RESPONSE.fullmatch(text)
    verdict = _lines(problem, lines(_steps_in(text)))
    answered = form["output"] if form else ""
    return replace(verdict, correct=answered == problem.answer, answered=answered)


def _steps_in(text: str) -> str:
    return text.partition("</plan>\n")[2].partition("</thinking>")[0]


def lines(steps: str) -> list[Line]:
    """The lines between plan and end of thinking, with a reflection's three as one."""
    found = _REFLECTION.split(steps)
    split: list[Line] = []
    for place, text in enumerate(found):
        if place % 2:
            split.append(Line(text, reflection=True))
        else:
            split += [Line(each) for each in text.splitlines()]
    return split


def _lines(problem: Problem, given: Sequence[Line]) -> Check:
    known: dict[str, str] = {}
    wrong: int | None = None  # the line that awaits its correction; what is written on it before that is void
    before = False
    retries = needless = repaired = 0
    for place, line in enumerate(given):
        if line.reflection:
            texts = line.text.splitlines()
            anew = len(texts) > 1
            right, known = _follow(problem, texts, {} if anew else known)
            retries += 1
            needless += before
            if right and wrong is not None and (anew or wrong == place - 1):
                repaired += 1
                wrong = None
            elif not right and wrong is None:
                wrong = place
        elif wrong is None:
            right, known = _follow(problem, [line.text], known)
            wrong = None if right else place
        else:
            right = False
        before = right
    return Check(False, "", wrong, retries, needless, repaired)


def _follow(problem: Problem, texts: Sequence[str], known: dict[str, str]) -> tuple[bool, dict[str, str]]:
    """Whether steps follow from what is known one after the other, and what is known then."""
    held = dict(known)
    for text in texts:
        if not check_step(problem, text, held):
            return False, known
        held[text[0]] = text[-1]
    return bool(texts), held
