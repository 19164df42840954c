"""Rule-injected errors: a right response in which one calculation is made wrong, and put right behind it."""

import random
import re
from dataclasses import replace

from seriatim.arithmetic import number_in
from seriatim.training.reflection.attempts import Attempt, Task
from seriatim.training.reflection.mining import corrected
from seriatim.training.reflection.segments import Example

_RESULT = re.compile(r"(<<[^<>=]*=)(-?[\d.,]*\d)(>>)((?:\$|£|€)?)(-?[\d.,]*\d)?")


def injected(task: Task, right: Attempt, rng: random.Random) -> Example | None:
    """`right` with a mistake in one of its steps, the reflection on it, and the rest; None where no step has a
    calculation that the verifier sees."""
    for place in rng.sample(range(len(right.steps)), len(right.steps)):
        wrong = miscalculate(right.steps[place], rng)
        if wrong is None:
            continue
        tried = replace(right, steps=(*right.steps[:place], wrong))
        example = corrected(task, tried, place, right)
        if example is not None:
            return replace(example, source="injected")
    return None


def miscalculate(step: str, rng: random.Random) -> str | None:
    """A step with one result made wrong, in its annotation and where it is repeated behind it; None without one."""
    results = list(_RESULT.finditer(step))
    if not results:
        return None
    found = rng.choice(results)
    digits = [place for place, character in enumerate(found[2]) if character.isdigit()]
    place = rng.choice(digits)
    other = rng.choice([digit for digit in "0123456789" if digit != found[2][place]])
    wrong = found[2][:place] + other + found[2][place + 1 :]
    repeated = wrong if found[5] and number_in(found[5]) == number_in(found[2]) else (found[5] or "")
    return step[: found.start()] + found[1] + wrong + found[3] + found[4] + repeated + step[found.end() :]
