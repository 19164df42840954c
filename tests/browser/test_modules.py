"""The page's modules that parse, count and compare, apart from the page."""

import json
from typing import Any

import pytest

from tests.browser.conftest import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def imported(page: Any, scripted: Server) -> Any:
    """A function: the result of an arrow function on a module of the page and a value."""
    page.goto(scripted.url)

    def run(module: str, function: str, value: object) -> Any:
        script = f"async (value) => ({function})(await import('/page/{module}.js'), value)"
        return page.evaluate(script, value)

    return run


STREAM = 'event: stage\r\ndata: {"name": "plan"}\r\n\r\n: ping\n\ndata: {"text":\ndata: "é🐴"}\n\n'
EVENTS = [{"event": "stage", "data": {"name": "plan"}}, {"event": "message", "data": {"text": "é🐴"}}]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_the_stream_is_cut(imported: Any, size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    read = "(module, pieces) => { const parse = module.parser(); return pieces.flatMap((piece) => parse(piece)); }"
    assert imported("stream", read, pieces) == EVENTS


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("No citation.", []),
        ("One [2].", [[2]]),
        ("Two [2][31], and [unsupported].", [[2, 31], ["unsupported"]]),
        ("Not one: [x], a[], [1234567].", []),
        ("[1] at the start", [[1]]),
    ],
)
def test_citations_are_found_and_no_text_is_lost(imported: Any, text: str, marks: list[list[object]]) -> None:
    pieces = imported("text", "(module, text) => module.citedPieces(text)", text)
    assert [piece["marks"] for piece in pieces if "marks" in piece] == marks
    letters = "".join(piece.get("text", "") + piece.get("before", "") + piece.get("after", "") for piece in pieces)
    written = [f"[{mark}]" for piece in pieces for mark in piece.get("marks", ())]
    assert sorted(letters.replace(" ", "") + "".join(written)) == sorted(text.replace(" ", ""))


def test_citations_in_a_text_without_end_are_found_at_once(imported: Any) -> None:
    hostile = "a" * 50_000 + " [x" * 10_000 + " " * 50_000
    timed = """(module, text) => {
        const begun = performance.now();
        module.citedPieces(text);
        return performance.now() - begun;
    }"""
    assert imported("text", timed, hostile) < 500


def test_offsets_count_code_points(imported: Any) -> None:
    text = "a🐴é𝔘b"
    sliced = "(module, text) => { const points = module.codePoints(text); return [points.length, points.slice(1, 4)]; }"
    assert imported("text", sliced, text) == [len(text), text[1:4]]


def test_full_lines_of_a_page_flow_and_offsets_hold(imported: Any) -> None:
    text = "A heading\n\nThe first line of a paragraph\nflows into the second of it.\nShort.\nAnother one begins here."
    flowed = imported("text", "(module, text) => module.flowing(text)", text)
    assert flowed == (
        "A heading\n\nThe first line of a paragraph flows into the second of it. Short.\nAnother one begins here."
    )
    assert len(flowed) == len(text)


BOOK = """CHAPTER 36. The Quarter-Deck.

It was not a great while after the affair of the pipe, that one morning
shortly after breakfast, Ahab, as was his wont, ascended the cabin-gangway
to the deck. There most sea-captains usually walk at that hour, as country
gentlemen, after the same meal, take a few turns in the garden.\r
And so he did."""
KEPT = """It was not a great while after the affair of the pipe, that one morning

  He walked the deck, and was not seen to speak to any man of all of us,
  Nor ever did he after that one morning, as I have been told by the mate.
- shortly after breakfast he came, the first of the items that are here
- shortly after breakfast he came, the other of the items that are here
shortly        after breakfast   Ahab came upon the deck of that old ship
Short ones
follow it."""


def test_the_lines_of_a_wrapped_book_flow_and_offsets_hold(imported: Any) -> None:
    flowed = imported("text", "(module, text) => module.unwrapped(text)", BOOK)
    assert len(flowed) == len(BOOK)
    assert flowed.split("\n") == [
        "CHAPTER 36. The Quarter-Deck.",
        "",
        " ".join(BOOK.split("\n")[2:6]),
        "And so he did.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        KEPT,
        "Of Man's first disobedience, and the fruit\nOf that forbidden tree whose mortal taste\nBrought death",
        f"{'A paragraph is one line. ' * 20}\n{'So is the next one here. ' * 9}\nAnd a short one.",
        "",
    ],
)
def test_verse_lists_tables_and_what_is_not_wrapped_keep_their_lines(imported: Any, text: str) -> None:
    assert imported("text", "(module, text) => module.unwrapped(text)", text) == text


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("He shall have this gold ounce", 12, "He shall…"),
        ("He, shall have it", 6, "He…"),
        ("He shall", 8, "He shall"),
        ("Donaudampfschifffahrtsgesellschaft", 10, "Donaudamp…"),
        ("  two \n lines ", 20, "two lines"),
    ],
)
def test_an_excerpt_ends_with_a_whole_word(imported: Any, text: str, most: int, shown: str) -> None:
    assert imported("text", "(module, [text, most]) => module.excerpt(text, most)", [text, most]) == shown


@pytest.mark.parametrize(
    ("question", "name"),
    [("Who is Zoë Müller?", "Who-is-Zoë-Müller"), ("../../etc/passwd", "etc-passwd"), ("???", "answer-1")],
)
def test_a_file_is_called_after_the_question(imported: Any, question: str, name: str) -> None:
    assert imported("text", "(module, text) => module.fileName(text, 'answer-1')", question) == name


@pytest.mark.parametrize(
    ("starts", "shown"), [([0, 5, 500], ["1, 2", "3"]), ([0, 100, 500], ["1", "2", "3"]), ([0], ["1"])]
)
def test_cited_passages_close_to_each_other_share_a_label(imported: Any, starts: list[int], shown: list[str]) -> None:
    passages = [
        {"document_id": "a", "document": "a", "start": at, "end": at + 4, "text": "", "rank": 1} for at in starts
    ]
    code = """(module, passages) => {
      const cited = new Set(passages.map((_, place) => place + 1));
      const find = () => ({ characters: 1000, pages: null });
      const element = module.strip({ passages, cited, find, open: () => {} });
      return [...element.querySelectorAll(".number")].map((label) => label.textContent);
    }"""
    assert imported("strip", code, passages) == shown


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "all new"), ("all gone", ""), ("a b c d", "a x c d e"), ("the same", "the same"), ("a a a b", "b a a")],
)
def test_changes_make_the_one_text_into_the_other(imported: Any, before: str, after: str) -> None:
    runs = imported("diff", "(module, [before, after]) => module.changes(before, after)", [before, after])
    gone = "".join(run["text"] for run in runs if run["kind"] != "new").split()
    new = "".join(run["text"] for run in runs if run["kind"] != "gone").split()
    assert (gone, new) == (before.split(), after.split())


@pytest.mark.parametrize(
    "route",
    [
        {"library": "novels", "answer": None, "source": None},
        {"library": None, "answer": "0f", "source": {"document": "a b&c", "start": 3, "end": 9}},
        {"library": None, "answer": None, "source": None},
    ],
)
def test_addresses_are_read_as_they_were_written(imported: Any, route: dict[str, object]) -> None:
    assert imported("route", "(module, route) => module.parse(module.format(route))", route) == route


@pytest.mark.parametrize(
    "typed", ["#/answer/%", "#?source=x&start=-", "#/nowhere/x", "#/library/a?source=a&start=9&end=1"]
)
def test_addresses_that_somebody_typed_break_nothing(imported: Any, typed: str) -> None:
    parsed = imported("route", "(module, typed) => module.parse(typed)", typed)
    assert parsed["source"] is None
    assert json.dumps(parsed)


def test_sizes_are_for_people(imported: Any) -> None:
    sizes = [1, 999, 98_362_432, 1_117_320_768, 999_960_000]
    assert imported("text", "(module, sizes) => sizes.map(module.bytes)", sizes) == [
        "1 byte", "999 bytes", "98 MB", "1.1 GB", "1.0 GB",
    ]  # fmt: skip
