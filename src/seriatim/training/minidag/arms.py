"""The arms of the experiment: what each makes of a problem, as segments to train on.

| arm | a step is preceded by | question |
|---|---|---|
| A | nothing: plain chain of thought | the baseline |
| B, B' | with p = 0.2, 0.5 a wrong step, which a reflection puts right | does practice in retrying help? |
| C | as B', the wrong step not learned from | must the error be masked? |
| D | with p = 0.5 a right step whose turn has not come | does a cheap fake error do? |
| E | with p = 0.5 itself, which a reflection repeats | is it the tokens alone? (sham) |
| G | with p = 0.5, once for all, a whole attempt with a mistake in it | is it better to retry the whole? |

F has no data of its own: it is a trained A that goes on with the data of B' for a tenth as many steps.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

from seriatim.training.minidag.task import OPERATORS, VALUES, VARIABLES, Definition, Problem, step
from seriatim.training.reflection.segments import Example
from seriatim.training.reflection.template import Segment

Arm = Literal["A", "B", "B'", "C", "D", "E", "F", "G"]
ARMS: tuple[Arm, ...] = get_args(Arm)
RATE: dict[str, float] = {"A": 0.0, "B": 0.2, "B'": 0.5, "C": 0.5, "D": 0.5, "E": 0.5, "F": 0.5, "G": 0.5}
"""The probability with which a step (G: a problem) has a retry."""

MISTAKES = ("out_of_order", "other_definition", "other_value", "arithmetic")
"""The kinds of mistakes; what each is stands at the function of that name."""

Wrong = Callable[[Problem, Sequence[str], str, random.Random], str | None]


def example(
    problem: Problem, arm: Arm, rng: random.Random, rate: float | None = None, kinds: Sequence[str] = MISTAKES
) -> Example:
    """A right response to `problem` as `arm` writes it; its retries come at `rate`, by default the arm's own, and its
    wrong steps are of these `kinds`."""
    rate = RATE[arm] if rate is None else rate
    if arm == "G":
        steps = _second_try(problem, rng) if rng.random() < rate else [Segment(each, "step") for each in problem.steps]
    else:
        steps = []
        for place, name in enumerate(problem.order):
            steps += _step(problem, arm, place, name, rng, kinds) if rng.random() < rate else [right(problem, name)]
    segments = (Segment(problem.plan, "plan"), *steps, Segment(problem.answer, "output"))
    return Example(problem.prompt, segments, source=f"minidag {arm}", verified="minidag")


def right(problem: Problem, name: str) -> Segment:
    """The right step for `name`."""
    return Segment(problem.step(name), "step")


def _step(problem: Problem, arm: Arm, place: int, name: str, rng: random.Random, kinds: Sequence[str]) -> list[Segment]:
    correct = problem.step(name)
    if arm == "E":
        return [Segment(correct, "step"), Segment(correct, "reflection")]
    before = problem.order[:place]
    if arm == "D":
        wrong = future(problem, before, rng)
    else:
        _, wrong = mistake(problem, before, name, rng, kinds) or ("", None)
    if wrong is None:
        return [Segment(correct, "step")]
    return [Segment(wrong, "error", train=arm != "C"), Segment(correct, "reflection")]


def _second_try(problem: Problem, rng: random.Random) -> list[Segment]:
    """An attempt with one mistake, whose result the steps after it use; then a reflection that begins anew."""
    mistaken = rng.randrange(len(problem.order))
    values: dict[str, str] = {}
    attempt: list[Segment] = []
    for place, name in enumerate(problem.order):
        line = step(problem.of[name], values, problem.modulus)
        if place == mistaken:
            line = arithmetic(replace_values(problem, values), problem.order[:place], name, rng) or line
        values[name] = line[-1]
        attempt.append(Segment(line, "error" if place >= mistaken else "step"))
    return [*attempt, Segment("\n".join(problem.steps), "reflection")]


def replace_values(problem: Problem, values: dict[str, str]) -> Problem:
    """`problem` as it looks to one who holds `values` for right."""
    held = replace(problem)
    held.__dict__["values"] = {**problem.values, **values}
    return held


def mistake(
    problem: Problem, before: Sequence[str], name: str, rng: random.Random, kinds: Sequence[str] = MISTAKES
) -> tuple[str, str] | None:
    """A wrong step where that for `name` should stand, after the steps for `before`: its kind, which is drawn from
    `kinds`, and the step. None where there is none of these kinds."""
    for kind in rng.sample(kinds, len(kinds)):
        wrong = _MAKE[kind](problem, before, name, rng)
        if wrong is not None:
            return kind, wrong
    return None


def out_of_order(problem: Problem, before: Sequence[str], name: str, rng: random.Random) -> str | None:
    """A step for a variable with an operand that is not known yet, whose value is made up."""
    known = {each: problem.values[each] for each in before}
    others = [
        each.name
        for each in problem.definitions
        if each.name != name and any(operand not in known for operand in each.operands)
    ]
    if not others:
        return None
    definition = problem.of[rng.choice(others)]
    made_up = {each: known.get(each) or rng.choice(VALUES[: problem.modulus]) for each in definition.operands}
    return step(definition, made_up, problem.modulus)


def other_definition(problem: Problem, before: Sequence[str], name: str, rng: random.Random) -> str | None:
    """A step with one part of its definition taken for another: an operand, or the operator."""
    definition = problem.of[name]
    values = {each: problem.values[each] for each in before}
    side = rng.choice(["left", "right", "operator"])
    if side == "operator":
        other = rng.choice([each for each in OPERATORS if each != definition.operator])
        wrong = replace(definition, operator=other)
    else:
        held = getattr(definition, side)
        choices = [each for each in (values if held in VARIABLES else VALUES[: problem.modulus]) if each != held]
        if not choices:
            return None
        wrong = (
            replace(definition, left=rng.choice(choices))
            if side == "left"
            else replace(definition, right=rng.choice(choices))
        )
    return step(wrong, values, problem.modulus)


def other_value(problem: Problem, before: Sequence[str], name: str, rng: random.Random) -> str | None:
    """A step with a wrong value for one of its operands, with which it goes on."""
    definition: Definition = problem.of[name]
    if not definition.operands:
        return None
    operand = rng.choice(definition.operands)
    values = {each: problem.values[each] for each in before}
    right_value = values[operand]
    near = [each for each in values.values() if each != right_value] or list(VALUES[: problem.modulus])
    wrong = rng.choice([each for each in near if each != right_value])
    return step(definition, {**values, operand: wrong}, problem.modulus)


def arithmetic(problem: Problem, before: Sequence[str], name: str, rng: random.Random) -> str | None:
    """A step with a wrong result."""
    correct = step(problem.of[name], {each: problem.values[each] for each in before}, problem.modulus)
    return correct[:-1] + rng.choice([each for each in VALUES[: problem.modulus] if each != correct[-1]])


def future(problem: Problem, before: Sequence[str], rng: random.Random) -> str | None:
    """A right step whose turn has not come: an operand of it is still to be computed."""
    later = [each for each in problem.order[len(before) + 1 :] if not set(problem.of[each].operands) <= set(before)]
    return problem.step(rng.choice(later)) if later else None


_MAKE: dict[str, Wrong] = {each.__name__: each for each in (out_of_order, other_definition, other_value, arithmetic)}
