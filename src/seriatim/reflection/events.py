"""The events of an answer as it comes into being."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["stage", "passages", "plan", "thinking", "reflection", "draft", "output", "text", "malformed", "answer"]


@dataclass(frozen=True, slots=True)
class Event:
    """One step of an answer.

    `plan`, `thinking`, `reflection`, `draft` and `output` carry text of the model; `text` is text outside every
    tag; `malformed` names a fault of format; `stage` names the phase that begins; `passages` carries the Context and
    `answer` the finished Answer in `data`. `segment` counts the tagged stretches of a response, so
    that two reflections in a row can be told apart.
    """

    kind: Kind
    text: str = ""
    segment: int = 0
    data: Any = None
