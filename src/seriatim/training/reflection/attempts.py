"""What a model wrote, as an attempt: plan, steps, output; and a verifier's verdict on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seriatim.reflection.parser import ReflectionParser
from seriatim.reflection.tags import OPENING, PLAN
from seriatim.training.reflection.template import Segment


@dataclass(frozen=True, slots=True)
class Attempt:
    """A response without reflections: its plan, the lines of its thinking, its output."""

    plan: str
    steps: tuple[str, ...]
    output: str

    def begun(self, steps: int) -> str:
        """The response's text up to the end of so many steps, as the template has it."""
        plan = f"{PLAN[0]}{self.plan}{PLAN[1]}" if self.plan else ""
        return OPENING + plan + "".join(f"{step}\n" for step in self.steps[:steps])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of an attempt. `first_wrong` is the place of the first wrong step, None where none is known;
    `found` says in a sentence what is wrong with it."""

    accepted: bool
    first_wrong: int | None = None
    found: str = ""


Verifier = Callable[[Attempt], Verdict]
"""Judges attempts at one question."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question with the verifier of its attempts, which `verified` names; `system` and `instruction`, which stands
    behind the question, are what it is asked with. `reflection` words what a reflection says of a wrong step, given the
    right one that stands in its place, and the verdict."""

    question: str
    verify: Verifier
    verified: str
    system: str = ""
    instruction: str = ""
    reflection: Callable[[str, str, Verdict], str] = lambda _wrong, right, verdict: f"{verdict.found} {right}".strip()


def attempt(text: str) -> Attempt | None:
    """A response as an attempt; None where it breaks the protocol, is not complete or reflects already.

    A response without `<output>` is no attempt: what it says elsewhere is never taken for its answer.
    """
    parser = ReflectionParser()
    events = parser.feed(text) + parser.close()
    if any(event.kind == "malformed" for event in events) or not parser.complete or parser.reflections:
        return None
    steps = tuple(line.strip() for line in parser.thinking.splitlines() if line.strip())
    return Attempt(parser.plan, steps, parser.output)


def segments(tried: Attempt) -> tuple[Segment, ...]:
    """An attempt as segments, all of them to be learned from."""
    plan = (Segment(tried.plan, "plan"),) if tried.plan else ()
    return (*plan, *(Segment(step, "step") for step in tried.steps), Segment(tried.output, "output"))


def spliced(tried: Attempt, wrong: int, reflection: str, rest: Sequence[str], output: str) -> tuple[Segment, ...]:
    """`tried` up to and with its wrong step, which is read and not learned from; then the reflection, the steps that
    are right, and their output."""
    *head, _ = segments(Attempt(tried.plan, tried.steps[:wrong], output))
    return (
        *head, Segment(tried.steps[wrong], "error", train=False), Segment(reflection, "reflection"),
        *(Segment(step, "step") for step in rest), Segment(output, "output"),
    )  # fmt: skip
