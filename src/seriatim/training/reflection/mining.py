"""On-policy mining: a model's own mistakes, each with what puts it right.

Of several responses to a question some are wrong. The verifier names the first wrong step; a right response that shares
what stands before it, or one that the model goes on to write from there, gives the correction. The result is verified
once more. Right responses with a reflection that only confirms teach that not every look finds a fault.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from seriatim.models.generator import Generator
from seriatim.sampling import Sampling
from seriatim.training.reflection.attempts import Attempt, Task, segments, spliced
from seriatim.training.reflection.segments import Example
from seriatim.training.reflection.template import Segment
from seriatim.training.reflection.traces import responses

GoOn = Callable[[str], Iterable[Attempt | None]]
"""Further responses to a task that go on from a text."""


def mine(
    tasks: Iterable[Task],
    generator: Generator,
    *,
    samples: int,
    sampling: Sampling,
    max_tokens: int,
    confirm: float,
    counts: Counter[str],
) -> Iterator[Example]:
    """The examples that `samples` responses to each task give; `confirm` is the share of right responses kept with a
    reflection that confirms. `counts` adds up what became of the responses."""
    rng = random.Random(f"confirm {sampling.seed}")
    draw = partial(responses, generator=generator, samples=samples, sampling=sampling, max_tokens=max_tokens)
    for task in tasks:
        tried = list(draw(task))

        def go_on(begun: str, task: Task = task) -> Iterable[Attempt | None]:
            return draw(task, begun=begun)

        yield from mined(task, tried, go_on, source=generator.name, confirm=confirm, rng=rng, counts=counts)


def mined(
    task: Task,
    tried: Sequence[Attempt | None],
    go_on: GoOn,
    *,
    source: str,
    confirm: float,
    rng: random.Random,
    counts: Counter[str],
) -> Iterator[Example]:
    """The examples that are in responses to one task: a correction for each different mistake, and controls."""
    verdicts = [(each, task.verify(each)) for each in tried if each is not None]
    counts["not of the form"] += len(tried) - len(verdicts)
    right = [each for each, verdict in verdicts if verdict.accepted]
    seen: set[tuple[str, ...]] = set()
    for each, verdict in verdicts:
        if verdict.accepted:
            continue
        wrong = verdict.first_wrong
        if wrong is None:
            counts["wrong, no step to blame"] += 1
            continue
        if each.steps[: wrong + 1] in seen:
            counts["the same mistake again"] += 1
            continue
        seen.add(each.steps[: wrong + 1])
        whole = continuation(task, each, wrong, right, go_on)
        example = None if whole is None else corrected(task, each, wrong, whole)
        counts["no right continuation" if example is None else "corrected"] += 1
        if example is not None:
            yield replace(example, source=f"mined from {source}")
    for each in dict.fromkeys(right):
        if each.steps and rng.random() < confirm:
            counts["confirmed"] += 1
            yield replace(confirmed(task, each, rng.randrange(len(each.steps))), source=f"mined from {source}")


def continuation(task: Task, tried: Attempt, wrong: int, right: Sequence[Attempt], go_on: GoOn) -> Attempt | None:
    """A right response that begins as `tried` does before its wrong step."""
    shared = (each for each in right if each.plan == tried.plan and each.steps[:wrong] == tried.steps[:wrong])
    for each in shared:
        return each
    for drawn in go_on(tried.begun(wrong)):
        if drawn is not None and drawn.steps[:wrong] == tried.steps[:wrong] and task.verify(drawn).accepted:
            return drawn
    return None


def corrected(task: Task, tried: Attempt, wrong: int, whole: Attempt) -> Example | None:
    """`tried` up to its mistake, the reflection on it, and the rest of `whole`; None where that does not stand the
    verifier, or there is nothing to put in the wrong step's place."""
    if len(whole.steps) <= wrong or whole.steps[wrong] == tried.steps[wrong]:
        return None
    verdict = task.verify(replace(tried, steps=tried.steps[: wrong + 1]))
    if verdict.first_wrong != wrong or not task.verify(whole).accepted:
        return None
    said = task.reflection(tried.steps[wrong], whole.steps[wrong], verdict)
    return Example(
        task.question,
        spliced(tried, wrong, said, whole.steps[wrong + 1 :], whole.output),
        task.system,
        task.instruction,
        verified=task.verified,
    )


def confirmed(task: Task, right: Attempt, place: int) -> Example:
    """A right response with a reflection behind one of its steps that finds it right."""
    plan_and_steps = list(segments(right))
    at = place + 1 + bool(right.plan)
    plan_and_steps.insert(
        at, Segment(task.reflection(right.steps[place], right.steps[place], task.verify(right)), "reflection")
    )
    return Example(task.question, tuple(plan_and_steps), task.system, task.instruction, verified=task.verified)
