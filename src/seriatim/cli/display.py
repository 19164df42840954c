"""An answer on the screen as it comes into being, then its citations, where they lie, and what it cost."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from seriatim.cli.flow import Flow, flow
from seriatim.cli.literal import line, plural, short_names
from seriatim.cli.passages import show_citation
from seriatim.cli.screen import Screen
from seriatim.cli.status import Status
from seriatim.cli.strip import draw_strip
from seriatim.reflection.events import Event
from seriatim.retrieval.context import Context

if TYPE_CHECKING:
    from seriatim.answering import Answer


class _Look(NamedTuple):
    """How a kind of text is set: its heading, the style of both, and whether a rule stands at its left."""

    heading: str
    heading_style: str
    style: str
    rule: bool = False


_LOOKS = {
    "plan": _Look("Plan", "bold dim", "dim"),
    "thinking": _Look("Thinking", "bold dim", "dim"),
    "draft": _Look("Draft", "bold dim", "dim"),
    "text": _Look("Thinking", "bold dim", "dim"),
    "reflection": _Look("Reflection", "bold yellow", "", rule=True),
    "output": _Look("Answer", "bold", ""),
}

_HINT = "To look further: --tokens 2048 reads more passages, --effort thorough looks at every one."

_WAITING = {
    "retrieve": "looking for the passages…",
    "plan": "planning…",
    "think": "thinking…",
    "draft": "drafting…",
    "check": "checking the draft…",
    "reflect": "reflecting…",
    "answer": "writing the answer…",
}


def show_answer(
    events: Iterable[Event], screen: Screen, status: Status, lengths: Mapping[str, int], *, thinking: bool
) -> "Answer":
    """Write an answer's events as they come and return the finished Answer.

    `status` shows what is waited for. `lengths` gives each document's characters, for the strip. Without
    `thinking` only the answer itself and its citations are written.
    """
    stretch = _Stretches(screen)
    draft, number = "", 0
    for event in follow(events, status):
        if event.kind == "answer":
            answer: Answer = event.data
            status.hush()
            stretch.close()
            _show_ending(answer, screen, lengths)
            return answer
        if event.kind == "draft":
            draft += event.text
            status.trail(draft)
        elif event.kind in _LOOKS and event.text and (thinking or event.kind == "output"):
            status.hush()
            stretch.feed(event)
        elif event.kind == "stage":
            stretch.close()
            if event.text == "reflect" and thinking:
                # A draft is worth a place only where a reflection answers it; else the answer says the same again.
                status.hush()
                stretch.feed(Event("draft", draft, number))
                stretch.close()
            if event.text == "draft":
                draft, number = "", number + 1
    raise RuntimeError("the answer's events ended without an answer")


def last_answer(events: Iterable[Event], status: Status) -> "Answer":
    """Follow an answer's events to their end, showing nothing but the status; returns the finished Answer."""
    *_, last = follow(events, status)
    finished: Answer = last.data
    return finished


def follow(events: Iterable[Event], status: Status) -> Iterable[Event]:
    """Pass the events on while `status` says what is going on."""
    reading = ""
    for event in events:
        if event.kind == "passages":
            context: Context = event.data
            reading = f"reading the best of {plural(len(context.passages), 'passage')}…"
        yield event
        if event.kind == "passages":
            status.say(reading)
        elif event.kind == "stage":
            # The first phase after the search reads the prompt, which takes far longer than its first words.
            status.say(reading or _WAITING.get(event.text, event.text))
            reading = ""


class _Stretches:
    """The stretches of text of an answer, one below the other, each in the look of its kind."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._flow: Flow | None = None
        self._at: tuple[str, int] | None = None
        self._heading = ""
        self.shown: set[str] = set()

    def feed(self, event: Event) -> None:
        if (event.kind, event.segment) != self._at:
            if not event.text.strip():
                return
            self.close()
            self._open(event)
        if self._flow:
            self._flow.feed(event.text)

    def close(self) -> None:
        """End the stretch that is open."""
        if self._flow:
            self._flow.close()
        self._flow, self._at = None, None

    def _open(self, event: Event) -> None:
        look = _LOOKS[event.kind]
        screen = self._screen
        if self.shown:
            screen.write("\n")
        prefix = screen.glyph("▎ ", "| ") if look.rule else ""
        if look.heading != self._heading and (self.shown or event.kind != "output"):
            screen.write(prefix + look.heading + "\n", look.heading_style)
            self._heading = look.heading
        self._flow = Flow(
            screen, style=look.style, prefix=prefix, prefix_style=look.heading_style, accents=event.kind == "output"
        )
        self._at = (event.kind, event.segment)
        self.shown.add(event.kind)


def _show_ending(answer: "Answer", screen: Screen, lengths: Mapping[str, int]) -> None:
    if not answer.complete:
        screen.write("\n")
        flow(screen, "(The model ran out of its budget before the answer was complete.)", style="yellow")
    passages = answer.context.passages
    names = short_names(ranked.passage.document for ranked in passages)
    if answer.citations:
        screen.write("\n")
    for citation in answer.citations:
        document = names.get(citation.document, line(citation.document))
        show_citation(screen, citation.passage, document, citation.page, citation.quote, supported=citation.supported)
    if screen.console:
        screen.write("\n")
        if not answer.answered:
            flow(screen, _HINT, style="dim")
            screen.write("\n")
        cited = {citation.passage for citation in answer.citations}
        read = {
            number: each
            for number, each in enumerate(passages, 1)
            if each.rank <= answer.deepest_rank or number in cited
        }
        draw_strip(screen, list(read.values()), lengths, {place for place, n in enumerate(read) if n in cited})
        flow(screen, _cost(answer, screen), style="dim")


def _cost(answer: "Answer", screen: Screen) -> str:
    usage, timings = answer.usage, answer.timings
    facts = [
        line(answer.model),
        f"found in {_seconds(timings.retrieve_s)}",
        f"{plural(usage.prompt_tokens, 'token')} read in {_seconds(timings.prefill_s)}",
        f"{usage.completion_tokens:,} written in {_seconds(timings.generate_s)}",
    ]
    return screen.glyph(" · ", ", ").join(facts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
