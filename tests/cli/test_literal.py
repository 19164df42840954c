import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.cli.literal import line, literal, plural, short_names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text\nand\ttabs", "plain text\nand\ttabs"),
        ("\x1b[31mred\x07", "�[31mred�"),
        ("\x9b31m\x7f\x00", "�31m��"),
        ("one\r\ntwo\rthree\x0cfour\u2028five\x85six", "one\ntwo\nthree\nfour\nfive\nsix"),
        ("safe\u202eexe.txt\u2066\u2069", "safeexe.txt"),
        ("\udc80", "�"),
        ("naïve 漢字 עברית 👩‍🔬", "naïve 漢字 עברית 👩‍🔬"),
    ],
)
def test_nothing_is_left_that_a_terminal_obeys(text: str, shown: str) -> None:
    assert literal(text) == shown


@given(st.text(st.characters()))
def test_only_line_breaks_and_tabs_are_left_of_the_controls(text: str) -> None:
    shown = literal(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"} or c in "\n\t" for c in shown)
    assert literal(shown) == shown


@given(st.text())
def test_a_line_is_one_line(text: str) -> None:
    assert len(line(text).splitlines()) <= 1


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    names = ["/home/a/report.pdf", "/home/b/report.pdf", "/home/b/notes.md", "-"]
    assert short_names(names) == {
        "/home/a/report.pdf": "a/report.pdf",
        "/home/b/report.pdf": "b/report.pdf",
        "/home/b/notes.md": "notes.md",
        "-": "standard input",
    }


def test_names_that_look_alike_end_with_the_whole_path() -> None:
    assert short_names(["/a/x\x01", "/a/x\x02"]) == {"/a/x\x01": "//a/x�", "/a/x\x02": "//a/x�"}


def test_counts_have_their_noun() -> None:
    assert [plural(0, "page"), plural(1, "page"), plural(1200, "page")] == ["0 pages", "1 page", "1,200 pages"]
