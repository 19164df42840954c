"""Examples of whole answers: a draft that a check refuses, what the check found, and an answer that it accepts.

About a library's own documents, asked in the words in which `seriatim ask` asks, or code, judged by its tests.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from seriatim.models.generator import Generator, Message
from seriatim.reflection.prompts import DIRECT, PROTOCOL, REFLECTIVE, SYSTEM, numbered
from seriatim.reflection.prompts import conversation as over_passages
from seriatim.retrieval.context import Context
from seriatim.sampling import Sampling
from seriatim.training.reflection.attempts import Attempt, Verifier
from seriatim.training.reflection.segments import Example, fault
from seriatim.training.reflection.template import Segment, conversation
from seriatim.training.reflection.verifiers.quotation import quotation
from seriatim.training.reflection.verifiers.unit_tests import unit_tests

_CODE = "\nComplete this function. {} the whole function in one Python code block"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: `messages` ask for the answer at once, `example` is how one is asked that thinks first, still without
    a response. `verify` judges an answer, and `confirms` is what a reflection says of one that it accepts."""

    messages: Sequence[Message]
    example: Example
    verify: Verifier
    confirms: str


def about_passages(context: Context) -> Asked:
    """The question of `context` over its passages."""
    question = f"{numbered(context)}\n\nQuestion: {' '.join(context.question.split())}"
    example = Example(question, (), SYSTEM, REFLECTIVE, source="a library's documents", verified="quotation")
    return Asked(over_passages(context, DIRECT), example, quotation(context), "The passages bear this out.")


def about_code(prompt: str, entry_point: str, tests: str) -> Asked:
    """The function that `prompt` begins."""
    at_once = _CODE.format("Reply with") + ", and nothing else."
    example = Example(prompt, (), PROTOCOL, _CODE.format("The output is") + ".", source="code", verified="unit tests")
    messages = conversation(prompt, instruction=at_once)
    return Asked(messages, example, unit_tests(prompt, entry_point, tests), "It passes its tests.")


def answered(
    asked: Iterable[Asked],
    generator: Generator,
    *,
    samples: int,
    sampling: Sampling,
    max_tokens: int,
    confirm: float,
    counts: Counter[str],
) -> Iterator[Example]:
    """An example a question where, of the model's `samples` answers, the check refuses one and accepts another: the
    first of each. Where it refuses none, the share `confirm` of the accepted ones, with a reflection that confirms.
    `counts` adds up what became of the answers."""
    rng = random.Random(f"confirm {sampling.seed}")
    for each in asked:
        wrong, right = "", ""
        for number in range(samples):
            drawn = generator.stream(
                each.messages, max_tokens=max_tokens, sampling=replace(sampling, seed=sampling.seed + number)
            )
            text = "".join(piece.text for piece in drawn if not piece.reasoning).strip()
            accepted = each.verify(Attempt("", (), text)).accepted
            counts["accepted" if accepted else "refused"] += 1
            wrong, right = wrong or ("" if accepted else text), right or (text if accepted else "")
            if wrong and right:
                break
        example = None
        if wrong and right:
            example = corrected(each, wrong, right)
            counts["corrected" if example else "a tag in the answer"] += 1
        elif right and rng.random() < confirm:
            example = confirmed(each, right)
            counts["confirmed" if example else "a tag in the answer"] += 1
        if example:
            yield replace(example, source=f"answers of {generator.name}")


def corrected(asked: Asked, draft: str, right: str) -> Example | None:
    """The example of a draft that the check refuses and an answer that it accepts; None where either is otherwise, both
    say the same, or a tag in one cannot be trained on."""
    verdict = asked.verify(Attempt("", (), draft))
    if verdict.accepted or not asked.verify(Attempt("", (), right)).accepted or draft.strip() == right.strip():
        return None
    return _whole(
        asked, Segment(draft.strip(), "error", train=False), Segment(verdict.found, "reflection"),
        Segment(right.strip(), "output"),
    )  # fmt: skip


def confirmed(asked: Asked, right: str) -> Example | None:
    """An accepted answer as a draft whose reflection finds it right: not every look finds a fault."""
    return _whole(
        asked, Segment(right.strip(), "step"), Segment(asked.confirms, "reflection"), Segment(right.strip(), "output")
    )


def _whole(asked: Asked, *segments: Segment) -> Example | None:
    example = replace(asked.example, segments=segments)
    return None if fault(example) else example
