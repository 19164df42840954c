"""Answers from passages: what they state must stand in the passages that they cite, by the check that `ask` has."""

from seriatim.reflection import grounding
from seriatim.retrieval.context import Context
from seriatim.training.reflection.attempts import Attempt, Verdict, Verifier


def quotation(context: Context) -> Verifier:
    """The verifier of attempts at the question of `context`: no claim of the output without support, and at least one
    passage that bears it out. Refusals are not accepted: nothing in them can be checked."""

    def verify(tried: Attempt) -> Verdict:
        if grounding.is_refusal(tried.output):
            return Verdict(False, None, "It gives no answer.")
        found = grounding.check(tried.output, context.question, context.passages)
        supported = all(claim.supported for claim in found.claims) and not found.unsupported
        cited = any(citation.supported for citation in found.citations)
        if supported and cited:
            return Verdict(True)
        return Verdict(False, None, grounding.feedback(found) or "No passage bears it out.")

    return verify
