"""Plan, think, correct, answer: the protocol of Reflection-Tuning, and the check that stands behind it."""

from seriatim.reflection.events import Event
from seriatim.reflection.parser import ReflectionParser, escape_tags, merge

__all__ = ["Event", "ReflectionParser", "escape_tags", "merge"]
