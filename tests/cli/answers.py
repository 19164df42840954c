"""An answer as it comes into being, made up: what the display is shown, without a model."""

from collections.abc import Iterator

from seriatim.answering import Answer, Timings
from seriatim.documents.document import Passage
from seriatim.models.generator import Usage
from seriatim.reflection.events import Event
from seriatim.reflection.grounding import Citation
from seriatim.retrieval.context import Context, Ranked

LAKE = "/papers/lake.md"
LENGTHS = {LAKE: 1000}
TEXT = "The lake was 68 feet deep [2]."


def context() -> Context:
    passages = [
        Ranked(Passage(LAKE, 1, 100, 150, None, "Old Inch said that it was 74 feet deep.", 12), 1, 0.9),
        Ranked(Passage(LAKE, 7, 700, 760, 12, "Twelve of his fathoms are 68 feet.", 11), 2, 0.8),
    ]
    return Context("How deep was the lake?", tuple(passages), 23)


def citation(quote: str = "Twelve of his fathoms are 68 feet.", *, supported: bool = True) -> Citation:
    return Citation(2, LAKE, 700, 700 + len(quote), quote, supported, page=12)


def answer(text: str = TEXT, *citations: Citation, answered: bool = True, complete: bool = True) -> Answer:
    return Answer(
        question="How deep was the lake?",
        answer=text,
        answered=answered,
        complete=complete,
        plan="Find the soundings.",
        thinking="Inch's fathom is short.",
        reflections=("74 feet is put right later.",),
        citations=citations,
        context=context(),
        deepest_rank=2,
        model="tiny",
        usage=Usage(prompt_tokens=1234, completion_tokens=56),
        timings=Timings(retrieve_s=0.25, prefill_s=3.0, generate_s=45.0),
    )


def events(finished: Answer, *, reflect: bool = True) -> Iterator[Event]:
    """The events of `finished`, its texts in pieces that split words."""
    yield Event("stage", "retrieve")
    yield Event("passages", data=finished.context)
    if reflect:
        yield Event("stage", "plan")
        yield from _pieces("plan", "\nFind the soundings.\n", 1)
        yield Event("stage", "think")
        yield from _pieces("thinking", "\nInch's fathom is [bold]short[/bold].\x1b[31m\n", 2)
        yield Event("stage", "draft")
        yield from _pieces("draft", "It was 74 feet deep [1].")
        yield Event("stage", "check")
        yield Event("stage", "reflect")
        yield from _pieces("reflection", "\n74 feet is put right later.\n", 3)
    yield Event("stage", "draft")
    yield from _pieces("draft", TEXT)
    yield Event("stage", "check")
    yield Event("stage", "answer")
    yield Event("output", finished.answer)
    yield Event("answer", data=finished)


def _pieces(kind: str, text: str, segment: int = 0) -> Iterator[Event]:
    for start in range(0, len(text), 5):
        yield Event(kind, text[start : start + 5], segment)  # type: ignore[arg-type]
