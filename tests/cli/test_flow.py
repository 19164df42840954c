import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from seriatim.cli.flow import Flow, flow
from seriatim.cli.screen import Screen


def screen(width: int | None) -> Screen:
    file = io.StringIO()
    console = Console(file=file, width=width + 1, color_system=None) if width else None
    return Screen(file, console)


def flowed(pieces: list[str], width: int | None = 30, **options: str) -> str:
    place = screen(width)
    running = Flow(place, **options)  # type: ignore[arg-type]
    for piece in pieces:
        running.feed(piece)
    running.close()
    written = place.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


def test_text_is_wrapped_at_words() -> None:
    assert flowed(["The lake went out from above the town of Ilverton."], 20) == (
        "The lake went out\nfrom above the town\nof Ilverton.\n"
    )


def test_line_breaks_stay_and_blank_lines_are_single_and_inside() -> None:
    assert flowed(["\n\n  one\ntwo\n\n\n\nthree \n\n"]) == "one\ntwo\n\nthree\n"


def test_lines_keep_their_indentation_when_wrapped() -> None:
    assert flowed(["list:\n  - a rather long entry"], 20) == "list:\n  - a rather long\n  entry\n"


def test_each_line_begins_with_the_prefix() -> None:
    assert flowed(["one two three four\n\nfive"], 20, prefix="| ", start="> ") == "> one two three four\n|\n| five\n"
    assert flowed(["one two three four five"], 20, prefix="| ") == "| one two three four\n| five\n"


def test_long_words_are_broken() -> None:
    assert (
        flowed(["see https://example.org/a/very/long/path now"], 20)
        == "see\nhttps://example.org/\na/very/long/path now\n"
    )


def test_scripts_without_spaces_break_anywhere() -> None:
    assert flowed(["湖水在一八八七年秋天的一个夜里消失了"], 20) == "湖水在一八八七年秋天\n的一个夜里消失了\n"


def test_a_pipe_gets_the_lines_as_they_are() -> None:
    text = "a line that is long enough to be wrapped in any terminal of thirty columns\n  second"
    assert flowed([text], None) == text + "\n"


def test_nothing_writes_nothing() -> None:
    assert flowed(["", " \n ", ""]) == ""


def test_markup_and_escapes_are_literal() -> None:
    place = Screen(file := io.StringIO(), Console(file=file, width=60, force_terminal=True, color_system="standard"))
    flow(place, "[bold]x[/bold] \x1b[31m :smile: 'quoted' 42", style="dim")
    assert "[bold]x[/bold]" in file.getvalue()
    assert ":smile:" in file.getvalue()
    assert "\x1b[31m" not in file.getvalue()


def test_marks_of_citations_stand_out() -> None:
    place = Screen(file := io.StringIO(), Console(file=file, width=60, force_terminal=True, color_system="standard"))
    running = Flow(place, accents=True)
    running.feed("Deep [12]. Or [unsupp")
    running.feed("orted].")
    running.close()
    assert file.getvalue() == "Deep \x1b[1;32m[12]\x1b[0m. Or \x1b[33m[unsupported]\x1b[0m.\n"


TEXTS = st.text(st.sampled_from("ab [1]\n\té漢👩é "), max_size=80)


@given(st.lists(TEXTS), st.sampled_from([20, 27, 60, None]))
def test_how_the_text_is_cut_makes_no_difference(pieces: list[str], width: int | None) -> None:
    assert flowed(pieces, width) == flowed(["".join(pieces)], width)


@given(TEXTS, st.integers(20, 60), st.sampled_from(["", "| ", "    "]))
def test_no_line_is_wider_than_the_screen_and_no_word_is_lost(text: str, width: int, prefix: str) -> None:
    written = flowed([text], width, prefix=prefix)
    assert all(cell_len(line) <= width for line in written.split("\n"))
    bare = "".join(line.removeprefix(prefix) for line in written.split("\n"))
    assert "".join(bare.split()).replace("|", "") == "".join(text.split())


@pytest.mark.parametrize("columns", [5, 20, 40, 300])
def test_any_terminal_gets_a_usable_width(columns: int) -> None:
    place = Screen(io.StringIO(), Console(width=columns))
    assert 20 <= (place.text_width or 0) <= 96
