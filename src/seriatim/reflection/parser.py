"""Model output → events: an incremental parser of the protocol's tags.

The protocol is `<thinking> [<plan>…</plan>] … (<reflection>…</reflection>)* … </thinking><output>…</output>`. Models
break it in many ways; what each breach means is decided here, once:

- A tag is `<name>` or `</name>` in any case of ASCII letters, with spaces or tabs inside the brackets and attributes
  (`<output lang="en">`) tolerated. `<output/>`, `&lt;output&gt;`, look-alike letters and names in other scripts
  are text.
- Inside Markdown code (fences, inline code) tags are text. Code can't hide the end of what it stands in: a closing tag
  that the code did not open is real, so an unclosed fence never swallows `</output>`; only right before a backtick
  (as in `` `</output>` ``) is it text. Inline code ends with its line. A fence around the whole response is no
  code: before anything else, `<thinking>` counts inside it too.
- A stretch that ends without its own closing tag (at the end, at an outer closing tag, or because `<output>` opens
  inside thinking, plan or reflection) gives "unclosed <name>", and the response is not complete.
- A closing tag of nothing open gives "stray </name>", an opening tag of what is open already "nested <name>"; both
  tags are dropped. Any other misplaced stretch ("<reflection> inside <output>") keeps its own kind: it is
  no part of what surrounds it.
- A tag that the end of the stream cuts short ("truncated tag </outp") is no text.
- No line of a reflection begins with a comma, a full stop or the like that a blank follows, nor with the blanks after
  it: a model writes one that goes on from the line above. They are no text; the point of ".5" is.
- After `</output>`, text is "text after </output>" and a further output "another <output>"; the last closed one
  counts.
- Without any `<output>` there is no answer: "missing <output>"; nor is one with nothing in it: "empty <output>".
"""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from seriatim.reflection.events import Event

_Name = Literal["plan", "thinking", "reflection", "output"]
_NAMES: tuple[_Name, ...] = ("plan", "thinking", "reflection", "output")
_MISPLACED = {("plan", "reflection"), ("reflection", "plan")} | {("output", name) for name in _NAMES}
_MERGEABLE = {"plan", "thinking", "reflection", "draft", "output", "text"}

_ATTRIBUTE = r"""[ \t]+[\w:-]+[ \t]*=[ \t]*(?:"[^"<>`\n‹›]*"|'[^'<>`\n‹›]*'|[^\s"'<>=`‹›]+)"""
_TAG = re.compile(rf"<[ \t]*(/[ \t]*)?({'|'.join(_NAMES)})(?:{_ATTRIBUTE})*[ \t]*>", re.IGNORECASE | re.ASCII)
_PARTS = "|".join(name[:length] for name in _NAMES for length in range(1, len(name) + 1))
_TAG_PREFIX = re.compile(
    rf"<[ \t]*(?:/[ \t]*)?(?:(?:{_PARTS})?|(?:{'|'.join(_NAMES)})[ \t][^<>`\n‹›]*)", re.IGNORECASE | re.ASCII
)
_CLEARLY_A_TAG = re.compile(r"<[ \t]*(?:/|[a-z]{2})", re.IGNORECASE)
_LONGEST_TAG = 80
_GOES_ON = frozenset(",;:.!?")


class ReflectionParser:
    """Parses a response as it streams in; every split of a text into chunks gives the same events.

    `feed` and `close` return events of one character each (`merge` joins them), and a `malformed` event for each fault.
    An event's `segment` is the number, from 1, of the tagged stretch it belongs to, 0 outside; thinking that goes on
    after a reflection keeps its number. All other text is passed on as it stands, line breaks beside the tags too; the
    properties strip it. Only what may become a tag is held back, and at most 80 characters of it.

    `opened` is text with which the response already begins because the prompt supplied it ("<thinking>\\n"): it
    counts in the properties, and gives no events.

    >>> parser = ReflectionParser()
    >>> [(event.kind, event.text) for event in merge(parser.feed("<output>four</output>") + parser.close())]
    [('output', 'four')]
    """

    def __init__(self, opened: str = "") -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._code = _MarkdownCode()
        self._held = ""
        self._open: list[_Stretch] = []
        self._stretches: list[_Stretch] = []
        self._faults: list[str] = []
        self._events: list[Event] = []
        self._answered = False
        self._text_after_output = False
        self._closed = False
        self.feed(opened)

    def feed(self, text: str | bytes) -> list[Event]:
        """The events that `text` settles. Bytes are UTF-8, and may be cut inside a character."""
        if self._closed:
            raise ValueError("the parser is closed; start a new one for another response")
        for character in self._decoder.decode(text) if isinstance(text, bytes) else text:
            self._read(character)
        return self._take_events()

    def end_code(self) -> None:
        """Let no Markdown code that was left open hide the tags that follow: whoever feeds the text set them."""
        self._code = _MarkdownCode()

    def leave_inner(self) -> list[Event]:
        """Leave what the text left open inside the thinking: whoever feeds the text opens something else there."""
        self.end_code()
        self._leave_until("thinking")
        return self._take_events()

    def close(self) -> list[Event]:
        """The events of what was held back, and of what is missing, at the end of the response."""
        if self._closed:
            return []
        for character in self._decoder.decode(b"", final=True):
            self._read(character)
        if self._held.endswith(">"):
            self._settle_closing_tag(literal=False)
        elif _CLEARLY_A_TAG.match(self._held):
            self._fault(f"truncated tag {self._held}")
        else:
            self._emit(self._held)
        self._held = ""
        self._leave_until(None)
        if not self._answered:
            self._fault("missing <output>")
        self._closed = True
        return self._take_events()

    @property
    def complete(self) -> bool:
        """Whether an output with text was opened and closed and no closing tag is missing; no other fault counts."""
        unclosed = any(fault.startswith("unclosed") for fault in self._faults)
        return not unclosed and not self._open and any(s.closed for s in self._of("output"))

    @property
    def output(self) -> str:
        """The last closed output; without any, what there is of an unclosed one (`complete` is then False)."""
        outputs = self._of("output")
        return next((s.text for s in reversed(outputs) if s.closed), outputs[-1].text if outputs else "")

    @property
    def thinking(self) -> str:
        """The thinking without its plans and reflections."""
        return "\n".join(stretch.text for stretch in self._of("thinking"))

    @property
    def plan(self) -> str:
        """The plan."""
        return "\n".join(stretch.text for stretch in self._of("plan"))

    @property
    def reflections(self) -> tuple[str, ...]:
        """The reflections in order."""
        return tuple(stretch.text for stretch in self._of("reflection"))

    @property
    def faults(self) -> tuple[str, ...]:
        """The texts of the `malformed` events so far."""
        return tuple(self._faults)

    def _of(self, kind: _Name) -> list["_Stretch"]:
        return [stretch for stretch in self._stretches if stretch.kind == kind and stretch.text]

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _read(self, character: str) -> None:
        if self._held.endswith(">"):
            self._settle_closing_tag(literal=character == "`")
        if self._held:
            held = self._held + character
            if character == ">" and (tag := _TAG.fullmatch(held)):
                self._held = ""
                self._tag(tag)
                return
            if len(held) <= _LONGEST_TAG and _TAG_PREFIX.fullmatch(held):
                self._held = held
                return
            self._emit(self._held)
            self._held = ""
        self._code.read(character)
        if character == "<":
            self._held = character
        else:
            self._emit(character)

    def _tag(self, tag: re.Match[str]) -> None:
        name = next(name for name in _NAMES if name == tag[2].lower())
        if not tag[1]:
            wrapped = name == "thinking" and not self._stretches
            if self._code.inside and not (wrapped and self._code.inside == "block"):
                self._code.opened.append(name)
                self._emit(tag[0])
            else:
                self._enter(name)
        elif not self._code.inside:
            self._leave(name)
        elif name in self._code.opened:
            self._code.opened.remove(name)
            self._emit(tag[0])
        elif not self._is_open(name):
            self._emit(tag[0])
        elif self._code.inside == "span":
            self._held = tag[0]
        else:
            self._leave(name)

    def _settle_closing_tag(self, literal: bool) -> None:
        """Decide on a closing tag inside inline code, which waited for the character that follows it."""
        tag, self._held = _TAG.fullmatch(self._held), ""
        if tag and literal:
            self._emit(tag[0])
        elif tag:
            self._leave(next(name for name in _NAMES if name == tag[2].lower()))

    def _enter(self, name: _Name) -> None:
        self._code = _MarkdownCode()
        if self._is_open(name):
            self._fault(f"nested <{name}>")
            return
        if name == "output":
            self._leave_until(None)
            if self._answered:
                self._fault("another <output>")
            self._answered = True
        elif self._open and (self._open[-1].kind, name) in _MISPLACED:
            self._fault(f"<{name}> inside <{self._open[-1].kind}>")
        stretch = _Stretch(name, len(self._stretches) + 1)
        self._open.append(stretch)
        self._stretches.append(stretch)

    def _leave(self, name: _Name) -> None:
        self._code = _MarkdownCode()
        if not self._is_open(name):
            self._fault(f"stray </{name}>")
            return
        self._leave_until(name)
        if name == "output" and not self._open[-1].text:
            self._fault("empty <output>")
        self._open.pop().closed = True

    def _leave_until(self, name: _Name | None) -> None:
        """Leave what stands open inside the stretch `name` (everything without a name), each an unclosed one."""
        while self._open and self._open[-1].kind != name:
            self._fault(f"unclosed <{self._open[-1].kind}>")
            self._open.pop()

    def _is_open(self, name: _Name) -> bool:
        return any(stretch.kind == name for stretch in self._open)

    def _emit(self, text: str) -> None:
        if self._open:
            stretch = self._open[-1]
            if stretch.kind == "reflection":
                text = stretch.without_signs(text)
            stretch.pieces.append(text)
            self._events += [Event(stretch.kind, character, stretch.segment) for character in text]
            return
        if self._answered and not self._text_after_output and text.strip():
            self._text_after_output = True
            self._fault("text after </output>")
        self._events += [Event("text", character) for character in text]

    def _fault(self, name: str) -> None:
        self._faults.append(name)
        self._events.append(Event("malformed", name, self._open[-1].segment if self._open else 0))


def merge(events: Iterable[Event]) -> list[Event]:
    """`events` with neighbours of the same kind and segment joined into one; no other event is touched."""
    merged: list[Event] = []
    pieces: list[str] = []
    for event in events:
        last = merged[-1] if merged else None
        same = last is not None and (last.kind, last.segment) == (event.kind, event.segment)
        if same and event.kind in _MERGEABLE:
            pieces.append(event.text)
            continue
        if last is not None:
            merged[-1] = replace(last, text="".join(pieces))
        merged.append(event)
        pieces = [event.text]
    if merged:
        merged[-1] = replace(merged[-1], text="".join(pieces))
    return merged


def escape_tags(text: str) -> str:
    """`text` with the protocol's tags made harmless: `<output>` becomes `‹output›`, of the same length.

    For questions and passages, which must not inject tags into a prompt. Everything `ReflectionParser` takes for a tag
    is escaped, in code too. Comparing words (as the check of quotations does) does not see the difference.
    """
    return _TAG.sub(lambda tag: f"‹{tag[0][1:-1]}›", text)


@dataclass(slots=True)
class _Stretch:
    """The text between an opening tag and its closing tag, without that of the stretches inside."""

    kind: _Name
    segment: int
    pieces: list[str] = field(default_factory=list)
    closed: bool = False
    line: Literal["new", "trimmed", "begun"] = "new"
    signs: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    def without_signs(self, text: str) -> str:
        """`text` less a sign and blanks at the beginning of a line, which only go on from something before it.

        A sign waits for what follows it.
        """
        if self.line != "begun" and text in _GOES_ON:
            self.signs += text
            return ""
        signs, self.signs = self.signs, ""
        if text == "\n":
            self.line = "new"
            return text
        if text.isspace():
            self.line = "trimmed" if signs else self.line
            return "" if self.line == "trimmed" else text
        self.line = "begun"
        return signs + text


class _MarkdownCode:
    """Whether a text stands inside Markdown code, read one character at a time.

    Three or more backticks or tildes at the start of a line open a block, which as many at the start of a later
    line end; any other backticks open a span, which as many end, or its line.
    """

    def __init__(self) -> None:
        self.inside: Literal["span", "block"] | None = None
        self.opened: list[_Name] = []
        self._fence = ("", 0)
        self._run = ("", 0)
        self._run_starts_line = False
        self._line_is_blank = True

    def read(self, character: str) -> None:
        """Take the next character of text."""
        mark, length = self._run
        if character == mark:
            self._run = (mark, length + 1)
            return
        self._end_run()
        if character == "\n":
            self._end_line()
        elif character == "`" or (character == "~" and self._line_is_blank):
            self._run = (character, 1)
            self._run_starts_line = self._line_is_blank
        self._line_is_blank = character == "\n" or (self._line_is_blank and character.isspace())

    def _end_run(self) -> None:
        """Decide on the backticks or tildes just read, now that something else follows."""
        (mark, length), self._run = self._run, ("", 0)
        if not length:
            return
        if self.inside == "block":
            if self._run_starts_line and mark == self._fence[0] and length >= self._fence[1]:
                self._leave()
        elif self.inside == "span":
            if (mark, length) == self._fence:
                self._leave()
        elif mark == "`" or length >= 3:
            self.inside, self._fence = "span", (mark, length)

    def _end_line(self) -> None:
        if self.inside != "span":
            return
        if self._run_starts_line and self._fence[1] >= 3:
            self.inside = "block"
        else:
            self._leave()

    def _leave(self) -> None:
        self.inside, self._fence, self.opened = None, ("", 0), []
