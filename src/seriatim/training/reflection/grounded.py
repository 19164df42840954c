"""Examples from a library's own documents: a question over its ordered passages, a draft, what the check found wrong in
it, and the corrected answer; asked in the words in which `seriatim ask` asks.
"""

from seriatim.reflection.prompts import REFLECTIVE, SYSTEM, numbered
from seriatim.retrieval.context import Context
from seriatim.training.reflection.attempts import Attempt
from seriatim.training.reflection.segments import Example
from seriatim.training.reflection.template import Segment
from seriatim.training.reflection.verifiers.quotation import quotation


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
