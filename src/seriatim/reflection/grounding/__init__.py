"""The check of an answer against its passages: facts, citations, and what becomes of both."""

from seriatim.reflection.grounding.check import Checked, Citation, Grounding, Unsupported, check
from seriatim.reflection.grounding.claims import Claim, Mark
from seriatim.reflection.grounding.facts import Fact
from seriatim.reflection.grounding.marking import cited_answer, doubt, feedback
from seriatim.reflection.grounding.refusal import is_refusal
from seriatim.reflection.grounding.words import say_the_same

__all__ = [
    "Checked",
    "Citation",
    "Claim",
    "Fact",
    "Grounding",
    "Mark",
    "Unsupported",
    "check",
    "cited_answer",
    "doubt",
    "feedback",
    "is_refusal",
    "say_the_same",
]
