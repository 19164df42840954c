import io
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from seriatim.answering import Answer
from seriatim.cli.display import last_answer, show_answer
from seriatim.cli.screen import Screen
from seriatim.cli.status import Status
from tests.cli.answers import LENGTHS, TEXT, answer, citation, events
from tests.cli.terminal import in_terminal, without_controls, without_styles

SHOW = (sys.executable, "-m", "tests.cli.show_answer")

WHOLE = """\
Plan
Find the soundings.

Thinking
Inch's fathom is [bold]short[/bold].�[31m

Draft
It was 74 feet deep [1].

▎ Reflection
▎ 74 feet is put right later.

Answer
The lake was 68 feet deep [2].

[2] lake.md · page 12
    “Twelve of his fathoms are 68 feet.”

lake.md  ──────━━━━──────────────────────────────────████───────────────
         ━ 2 passages read  █ 1 cited
tiny · found in 0.2 s · 1,234 tokens read in 3.0 s · 56 written in 45 s
"""

PIPED = """\
The lake was 68 feet deep [2].

[2] lake.md · page 12
    “Twelve of his fathoms are 68 feet.”
"""


def shown(
    finished: Answer, *, width: int | None = 72, thinking: bool = True, reflect: bool = True, unicode: bool = True
) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width + 1, color_system=None) if width else None
    screen = Screen(file, console, unicode)
    with Status(io.StringIO()) as status:
        result = show_answer(events(finished, reflect=reflect), screen, status, LENGTHS, thinking=thinking)
    assert result is finished
    return file.getvalue()


def test_the_whole_way_to_an_answer_is_shown() -> None:
    assert shown(answer(TEXT, citation())) == WHOLE


def test_a_pipe_gets_the_answer_and_its_citations() -> None:
    assert shown(answer(TEXT, citation()), width=None, thinking=False) == PIPED


def test_a_pipe_can_have_the_thinking_too() -> None:
    text = shown(answer(TEXT, citation()), width=None)
    assert text.startswith("Plan\nFind the soundings.\n\nThinking\n")
    assert text.endswith("\n\nAnswer\n" + PIPED)


def test_a_draft_that_stands_is_not_shown_twice() -> None:
    text = shown(answer(TEXT, citation()), reflect=False)
    assert text.startswith(f"{TEXT}\n\n[2] lake.md")
    assert text.count("68 feet deep") == 1


def test_ascii_alone_suffices() -> None:
    text = shown(answer("Deep.", citation()), unicode=False)
    assert text.replace("�", "").isascii()
    assert "| Reflection\n| 74 feet" in text
    assert '    "Twelve of his fathoms' in text


@pytest.mark.parametrize("width", [20, 39, 60, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = shown(answer(TEXT, citation(), citation("x" * 500, supported=False)), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_a_citation_that_does_not_bear_out_its_claim_is_marked() -> None:
    assert "[2] lake.md · page 12 · does not support the claim" in shown(answer(TEXT, citation(supported=False)))


def test_long_quotations_are_shortened() -> None:
    text = shown(answer(TEXT, citation("a word or two " * 60)), width=None, thinking=False)
    quote = text.splitlines()[-1]
    assert len(quote) < 320
    assert quote.endswith("…”")


def test_of_a_table_the_rows_are_told_apart() -> None:
    quote = "Depth | |\r\n|---|---|\r\n| Greatest | 68 feet |\r\n| Mean | 24 feet"
    assert "“Depth; Greatest | 68 feet; Mean | 24 feet”" in shown(answer(TEXT, citation(quote)))


@pytest.mark.parametrize("quote", ["if a || b:\n    c = a | b", "the norm |x|\nand |y| of both", "|x| is |y|"])
def test_bars_alone_make_no_table(quote: str) -> None:
    assert f"“{' '.join(quote.split())}”" in shown(answer(TEXT, citation(quote)))


def test_what_is_not_answered_or_not_complete_says_so() -> None:
    text = shown(answer("The passages do not answer this question.", answered=False))
    assert "--effort thorough" in text
    assert "ran out of its budget" in shown(answer("It was", complete=False))
    assert "--effort thorough" not in shown(answer("No.", answered=False), width=None, thinking=False)


def test_control_characters_of_models_and_documents_never_get_through() -> None:
    nasty = "\x1b]0;title\x07 \x9b31m \u202e\x08"
    for width in (60, None):
        text = shown(answer(nasty, citation(nasty)), width=width)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_following_to_the_end_gives_the_answer() -> None:
    finished = answer()
    with Status(io.StringIO()) as status:
        assert last_answer(events(finished), status) is finished


class TestInATerminal:
    @pytest.fixture(autouse=True)
    def _at_the_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(Path(__file__).parents[2])

    def test_it_looks_as_it_should(self) -> None:
        status, written = in_terminal(SHOW, columns=73)
        assert status == 0
        # Behind the status line, the text is that of the pure display.
        lines = iter(without_controls(written).replace("\r", "").splitlines())
        assert all(line in lines for line in WHOLE.splitlines())
        assert "reading the best of 2 passages" in written
        assert "\x1b[2mFind\x1b[0m\x1b[2m the" in written
        assert "\x1b[1;32m[2]\x1b[0m" in written
        assert "\x1b[31m" not in written
        assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # the cursor is back

    def test_without_colour_all_is_told_by_shape(self) -> None:
        _, written = in_terminal(SHOW, NO_COLOR="1")
        assert not re.search(r"\x1b\[[0-9;]*3\d[0-9;]*m", written)
        assert "█" in written

    def test_a_dumb_terminal_gets_plain_text(self) -> None:
        _, written = in_terminal(SHOW, columns=40, TERM="dumb")
        assert "\x1b" not in written
        assert "reading the best of 2 passages…\n" in written
        assert max(map(len, written.splitlines())) <= 40

    def test_a_locale_without_unicode_gets_ascii(self) -> None:
        _, written = in_terminal(SHOW, LC_ALL="C", TERM="xterm")
        assert without_styles(written).replace("�", "").isascii()
