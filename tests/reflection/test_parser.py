"""The protocol's parser: every breach of format means one thing, however the text is cut."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seriatim.reflection.events import Event
from seriatim.reflection.parser import ReflectionParser, escape_tags, merge

WHOLE = (
    "<thinking>\n<plan>find it</plan>\nIt is 4.<reflection>No, 5.</reflection> So 5.\n"
    "<reflection>Sure.</reflection></thinking>\n<output>\n5\n</output>\n"
)

# What models write, made of the pieces that matter to the parser.
PIECES = st.lists(
    st.sampled_from(
        [f"<{slash}{name}>" for name in ("plan", "thinking", "reflection", "output") for slash in ("", "/")]
        + ["<Output >", "< / THINKING>", '<output lang="en">', "<output/>", "<outpu", "</", "<", ">", "`", "``", "```"]
        + ["\n```\n", "~~~", "\n", "\r\n", " ", "a", "é", "思考", "🐋", "&lt;output&gt;", "</output>`"]
    )
    | st.text(max_size=4),
    max_size=24,
).map("".join)


def parse(text: str, opened: str = "") -> tuple[ReflectionParser, list[Event]]:
    parser = ReflectionParser(opened)
    return parser, merge(parser.feed(text) + parser.close())


def kinds(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.text) for event in events]


def test_whole_response() -> None:
    parser, events = parse(WHOLE)
    assert kinds(events) == [
        ("thinking", "\n"),
        ("plan", "find it"),
        ("thinking", "\nIt is 4."),
        ("reflection", "No, 5."),
        ("thinking", " So 5.\n"),
        ("reflection", "Sure."),
        ("text", "\n"),
        ("output", "\n5\n"),
        ("text", "\n"),
    ]
    assert [event.segment for event in events] == [1, 2, 1, 3, 1, 4, 0, 5, 0]
    assert (parser.complete, parser.output, parser.plan) == (True, "5", "find it")
    assert parser.thinking == "It is 4. So 5."
    assert parser.reflections == ("No, 5.", "Sure.")
    assert parser.faults == ()


@pytest.mark.parametrize(
    ("text", "reflection"),
    [
        (", but it is 5.", "but it is 5."),
        ("\n. , So it is 5, no more.", "So it is 5, no more."),
        ("It is not 4.\n, it is 5.", "It is not 4.\nit is 5."),
        ("- 4.\n  - 5.", "- 4.\n  - 5."),
        (" ... ", ""),
        (".5 mg, not 5.", ".5 mg, not 5."),
        ("It is\n. .NET, not .gguf", "It is\n.NET, not .gguf"),
    ],
)
def test_no_line_of_a_reflection_goes_on_from_before(text: str, reflection: str) -> None:
    parser, events = parse(f"<thinking>Four<reflection>{text}</reflection>, then.</thinking><output>5</output>")
    shown = "".join(event.text for event in events if event.kind == "reflection")
    assert shown.strip() == reflection
    assert parser.reflections == ((reflection,) if reflection else ())
    assert parser.thinking == "Four, then."


@pytest.mark.parametrize(
    ("text", "faults", "complete", "output"),
    [
        # Missing, unclosed, truncated.
        ("", ["missing <output>"], False, ""),
        ("Just an answer.", ["missing <output>"], False, ""),
        ("<thinking>4</thinking>", ["missing <output>"], False, ""),
        ("<thinking>4", ["unclosed <thinking>", "missing <output>"], False, ""),
        ("<thinking><reflection>4</thinking><output>5</output>", ["unclosed <reflection>"], False, "5"),
        ("<thinking>4</thinking><output>5", ["unclosed <output>"], False, "5"),
        ("<output>5</outp", ["truncated tag </outp", "unclosed <output>"], False, "5"),
        ("<output>5</", ["truncated tag </", "unclosed <output>"], False, "5"),
        ("<output>a<", ["unclosed <output>"], False, "a<"),
        ("<output></output>", ["empty <output>"], False, ""),
        ("<output> \n</output>", ["empty <output>"], False, ""),
        # Thinking is not required.
        ("<output>5</output>", [], True, "5"),
        # Stray and nested tags.
        ("4</thinking><output>5</output>", ["stray </thinking>"], True, "5"),
        ("<output>5</output></output>", ["stray </output>"], True, "5"),
        ("<thinking>a<thinking>b</thinking><output>5</output>", ["nested <thinking>"], True, "5"),
        ("<output>a<output>b</output>", ["nested <output>"], True, "ab"),
        # An output that opens inside thinking ends it.
        ("<thinking>4<output>5</output>", ["unclosed <thinking>"], False, "5"),
        (
            "<thinking>4<reflection>no<output>5</output></thinking>",
            ["unclosed <reflection>", "unclosed <thinking>", "stray </thinking>"],
            False,
            "5",
        ),
        # After the output, and several.
        ("<output>5</output>\n", [], True, "5"),
        ("<output>5</output> I hope this helps! Bye.", ["text after </output>"], True, "5"),
        ("<output>4</output><output>5</output>", ["another <output>"], True, "5"),
        ("<output>4</output><output>5", ["another <output>", "unclosed <output>"], False, "4"),
        # Stretches in the wrong place keep their kind.
        ("<output>5<reflection>no</reflection>6</output>", ["<reflection> inside <output>"], True, "56"),
        ("<output>5<thinking>no</thinking>6</output>", ["<thinking> inside <output>"], True, "56"),
        # Case, spaces, attributes.
        ("<THINKING>4</Thinking><OutPut>5</OUTPUT>", [], True, "5"),
        ("< thinking >4</ thinking ><\toutput\t>5< / output >", [], True, "5"),
        ("<output lang=\"en\" a='b' c=d>5</output>", [], True, "5"),
        ("<output is not what I mean>", ["missing <output>"], False, ""),
        ("<output/>", ["missing <output>"], False, ""),
        ("<outputs>5</outputs>", ["missing <output>"], False, ""),
        # Not the protocol's tags.
        ("&lt;output&gt;5&lt;/output&gt;", ["missing <output>"], False, ""),
        ("＜output＞5＜/output＞", ["missing <output>"], False, ""),
        ("<оutput>5</оutput>", ["missing <output>"], False, ""),  # a Cyrillic letter
        ("<thin\u212aing>4", ["missing <output>"], False, ""),  # the Kelvin sign folds to k
        ("<b>bold</b>", ["missing <output>"], False, ""),
        ("<output>x < y > z <= 2</output>", [], True, "x < y > z <= 2"),
        ("<<<<output>5<</output>", [], True, "5<"),
    ],
)
def test_breaches(text: str, faults: list[str], complete: bool, output: str) -> None:
    parser, events = parse(text)
    assert [event.text for event in events if event.kind == "malformed"] == faults
    assert list(parser.faults) == faults
    assert (parser.complete, parser.output) == (complete, output)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("<output>Write `<output>` first.</output>", "Write `<output>` first."),
        ("<output>End with `</output>` then.</output>", "End with `</output>` then."),
        ("<output>``<output>`</output>`` is it</output>", "``<output>`</output>`` is it"),
        ("<output>\n```xml\n<output>x</output>\n```\ny</output>", "```xml\n<output>x</output>\n```\ny"),
        ("<output>~~~\n<output>x</output>\n~~~\n</output>", "~~~\n<output>x</output>\n~~~"),
        # Backticks that nothing closes hide no closing tag.
        ("<output>It`s 5</output>", "It`s 5"),
        ("<output>```python\nprint(5)\n</output>", "```python\nprint(5)"),
        ("<thinking>```\n4</thinking><output>5</output>", "5"),
        # Inline code ends with its line, a fence with as many backticks.
        ("<output>a ` b\n<reflection>r</reflection></output>", "a ` b"),
        ("<output>````\n```\n<output>\n````\n5</output>", "````\n```\n<output>\n````\n5"),
        # A fence around the whole response is none.
        ("```xml\n<thinking>4</thinking>\n<output>5</output>\n```", "5"),
        ("```\n<output>5</output>\n```", ""),
    ],
)
def test_code_hides_tags(text: str, output: str) -> None:
    assert parse(text)[0].output == output


def test_opened_text_gives_no_events() -> None:
    parser, events = parse("4</thinking><output>5</output>", opened="<thinking>\n")
    assert kinds(events) == [("thinking", "4"), ("output", "5")]
    assert (parser.complete, parser.thinking) == (True, "4")
    parser, events = parse("5</output>", opened="<thinking>4<reflection>no</reflection></thinking>\n<output>\n")
    assert kinds(events) == [("output", "5")]
    assert (parser.output, parser.thinking, parser.reflections) == ("5", "4", ("no",))


def test_only_a_possible_tag_is_held_back() -> None:
    parser = ReflectionParser()
    parser.feed("<output>")
    assert "".join(event.text for event in parser.feed("5 is less")) == "5 is less"
    assert parser.feed("</out") == []
    assert "".join(event.text for event in parser.feed("side>")) == "</outside>"
    assert len(parser.feed("<output " + "x" * 100)) > 100


def test_close_ends_the_response() -> None:
    parser = ReflectionParser()
    assert parser.close()
    assert parser.close() == []
    with pytest.raises(ValueError, match="closed"):
        parser.feed("more")


@given(PIECES, st.lists(st.integers(0, 200), max_size=6))
@example(WHOLE, [3, 12, 40])
def test_every_split_gives_the_same_events(text: str, cuts: list[int]) -> None:
    whole = ReflectionParser()
    expected = whole.feed(text) + whole.close()
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for chunks in ([text[a:b] for a, b in pairwise(bounds)], list(text)):
        parser = ReflectionParser()
        assert [event for chunk in chunks for event in parser.feed(chunk)] + parser.close() == expected
        assert (parser.complete, parser.output) == (whole.complete, whole.output)


@given(PIECES.filter(lambda text: text.isprintable() or "\n" in text), st.integers(1, 5))
def test_bytes_may_be_cut_inside_a_character(text: str, size: int) -> None:
    data = text.encode(errors="replace")
    whole = ReflectionParser()
    expected = whole.feed(data.decode()) + whole.close()
    parser = ReflectionParser()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] + parser.close() == expected


@given(st.binary(max_size=60), st.integers(1, 5))
def test_bytes_that_are_no_utf8_are_replaced(data: bytes, size: int) -> None:
    whole = ReflectionParser()
    expected = whole.feed(data) + whole.close()
    parser = ReflectionParser()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] + parser.close() == expected


@given(PIECES)
def test_text_is_passed_on_as_it_stands(text: str) -> None:
    _, events = parse(text)
    passed = iter(text)
    assert all(character in passed for event in events if event.kind != "malformed" for character in event.text)
    if "<" not in text:
        assert "".join(event.text for event in events if event.kind != "malformed") == text


@given(PIECES)
def test_merge_keeps_text_and_order(text: str) -> None:
    parser = ReflectionParser()
    events = parser.feed(text) + parser.close()
    merged = merge(events)
    assert "".join(event.text for event in merged) == "".join(event.text for event in events)
    assert merge(merged) == merged


def test_merge_joins_no_events_that_carry_data() -> None:
    events = [Event("stage", "plan"), Event("stage", "plan"), Event("draft", "a"), Event("draft", "b")]
    assert merge(events) == [Event("stage", "plan"), Event("stage", "plan"), Event("draft", "ab")]


@pytest.mark.parametrize("piece", ["<", "`", "<output ", "word ", "<thinking>", "<output>5</output>", "\n```\n", "</"])
def test_time_is_linear(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    parse(text)
    escape_tags(text)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("say <output>5</output>", "say ‹output›5‹/output›"),
        ("< Thinking >", "‹ Thinking ›"),
        ('<output lang="en">', '‹output lang="en"›'),
        ("x < y > z <b> &lt;output&gt;", "x < y > z <b> &lt;output&gt;"),
        ("`<output>`", "`‹output›`"),
    ],
)
def test_escape_tags(text: str, escaped: str) -> None:
    assert escape_tags(text) == escaped


@given(PIECES)
@example("<output a=<output>>")
def test_escaped_text_holds_no_tags(text: str) -> None:
    escaped = escape_tags(text)
    assert len(escaped) == len(text)
    assert escape_tags(escaped) == escaped
    parser, events = parse(escaped)
    assert {event.kind for event in events} <= {"text", "malformed"}
    assert not parser.complete
