"""Teacher traces: what any model wrote, kept only where the verifier accepts it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from seriatim.models.generator import Generator
from seriatim.reflection.tags import OPENING
from seriatim.sampling import Sampling
from seriatim.training.reflection.attempts import Attempt, Task, attempt, segments
from seriatim.training.reflection.segments import Example
from seriatim.training.reflection.template import conversation


def traces(
    tasks: Iterable[Task],
    generator: Generator,
    *,
    samples: int,
    sampling: Sampling,
    max_tokens: int,
    counts: Counter[str],
) -> Iterator[Example]:
    """One accepted response a task, the first of `samples`; tasks without one are left out. `counts` adds up what
    became of the responses."""
    for task in tasks:
        for tried in responses(task, generator, samples=samples, sampling=sampling, max_tokens=max_tokens):
            accepted = tried is not None and task.verify(tried).accepted
            counts["not of the form" if tried is None else "accepted" if accepted else "refused"] += 1
            if tried is not None and accepted:
                source = f"trace of {generator.name}"
                yield Example(
                    task.question, segments(tried), task.system, task.instruction, source, verified=task.verified
                )
                break


def responses(
    task: Task, generator: Generator, *, samples: int, sampling: Sampling, max_tokens: int, begun: str = OPENING
) -> Iterator[Attempt | None]:
    """Responses to a task that go on from `begun`, each drawn with a seed of its own; None for what breaks the form."""
    messages = conversation(task.question, task.system, task.instruction)
    for number in range(samples):
        drawn = generator.stream(
            messages, prefix=begun, max_tokens=max_tokens, sampling=replace(sampling, seed=sampling.seed + number)
        )
        yield attempt(begun + "".join(piece.text for piece in drawn if not piece.reasoning))
