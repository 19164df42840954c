"""Examples from a library's own documents: a question over its ordered passages, a draft, what the check found wrong in
it, and the corrected answer; asked in the words in which `seriatim ask` asks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from seriatim.models.generator import Generator
from seriatim.reflection.prompts import DIRECT, REFLECTIVE, SYSTEM, conversation, numbered
from seriatim.retrieval.context import Context
from seriatim.sampling import Sampling
from seriatim.training.reflection.attempts import Attempt
from seriatim.training.reflection.segments import Example
from seriatim.training.reflection.template import Segment
from seriatim.training.reflection.verifiers.quotation import quotation


def answered(
    contexts: Iterable[Context],
    generator: Generator,
    *,
    samples: int,
    sampling: Sampling,
    max_tokens: int,
    counts: Counter[str],
) -> Iterator[Example]:
    """An example a question where, of the model's `samples` answers over the same passages, the check refuses one and
    accepts another: the first of each. `counts` adds up what became of the answers."""
    for context in contexts:
        verify, messages = quotation(context), conversation(context, DIRECT)
        wrong, right = "", ""
        for number in range(samples):
            drawn = generator.stream(
                messages, max_tokens=max_tokens, sampling=replace(sampling, seed=sampling.seed + number)
            )
            text = "".join(piece.text for piece in drawn if not piece.reasoning).strip()
            accepted = verify(Attempt("", (), text)).accepted
            counts["accepted" if accepted else "refused"] += 1
            wrong, right = wrong or ("" if accepted else text), right or (text if accepted else "")
            if wrong and right:
                break
        example = grounded(context, wrong, right) if wrong and right else None
        if example:
            yield replace(example, source=f"answers of {generator.name}")


def grounded(context: Context, draft: str, corrected: str) -> Example | None:
    """The example of a draft that the check refuses and an answer that it accepts; None where either is otherwise, or
    both say the same."""
    verify = quotation(context)
    verdict = verify(Attempt("", (), draft))
    if verdict.accepted or not verify(Attempt("", (), corrected)).accepted or draft.strip() == corrected.strip():
        return None
    segments = (
        Segment(draft.strip(), "error", train=False), Segment(verdict.found, "reflection"),
        Segment(corrected.strip(), "output"),
    )  # fmt: skip
    question = f"{numbered(context)}\n\nQuestion: {' '.join(context.question.split())}"
    return Example(question, segments, SYSTEM, REFLECTIVE, source="grounded", verified="quotation")
