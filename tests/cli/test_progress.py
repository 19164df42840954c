import io
import sys
import time

import pytest

from seriatim.cli import progress
from seriatim.cli.progress import count, progress_bar, time_left
from seriatim.progress import Bytes
from tests.cli.terminal import in_terminal, without_controls

SHOW = """
import sys, time
from seriatim.cli.progress import progress_bar
with progress_bar("Indexing") as update:
    for done in range({steps}):
        update("[red]a\\x1b[31m file[/red]", done, {steps})
        time.sleep({pause})
print("the end")
"""


def run(steps: int, pause: float, columns: int = 100) -> str:
    status, written = in_terminal((sys.executable, "-c", SHOW.format(steps=steps, pause=pause)), columns=columns)
    assert status == 0
    return written


def test_what_is_quick_shows_nothing() -> None:
    assert run(5, 0.01) == "the end\n"


@pytest.mark.parametrize("columns", [40, 100])
def test_what_takes_long_gets_a_bar_that_goes_away(columns: int) -> None:
    written = run(8, 0.2, columns)
    text = without_controls(written)
    assert "Indexing" in text
    assert " of 8" in text
    assert "[red]a�[31m"[:8] in text or columns == 40
    assert written.endswith("\x1b[2Kthe end\n")


def test_a_pipe_gets_a_rare_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.2)
    file = io.StringIO()
    with progress_bar("Indexing", file=file) as update:
        for done in range(5):
            update("a file", done, 5)
        assert file.getvalue() == ""
        time.sleep(0.25)
        update("another file", 5, 0)
        update("another file", 5, 5)
    assert file.getvalue() == "seriatim: indexing another file\n"


def test_a_pipe_is_told_the_time_left_as_it_went_since_it_began_here(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0, 100.0, 105.0, 120.0, 160.0, 175.0, 190.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock.pop(0))
    file = io.StringIO()
    with progress_bar("Training", file=file) as update:
        update("loss 3.9", 400, 1000)  # a run that goes on
        for done in (405, 410, 450):
            update("loss 2.9", done, 1000)
        update("hashing a file", 0, 3)  # another thing, of which nothing is done yet
        update("hashing a file", 1, 3)
    assert file.getvalue().splitlines() == [
        "seriatim: training 410 of 1,000, 20 min left: loss 2.9",
        "seriatim: training 450 of 1,000, 11 min left: loss 2.9",
        "seriatim: training 0 of 3: hashing a file",
        "seriatim: training 1 of 3, 30 s left: hashing a file",
    ]


def test_a_time_is_told_in_the_units_that_it_suggests() -> None:
    assert [time_left(each) for each in (0.4, 61, 700, 12_000, 86_399, 200_000)] == [
        "0 s", "61 s", "12 min", "3 h 20 min", "1 d 0 h", "2 d 8 h",
    ]  # fmt: skip


def test_bytes_are_counted_in_megabytes_and_nothing_else_is() -> None:
    assert count(5, 1_223_842) == "5 of 1,223,842"
    assert count(3, 1200) == "3 of 1,200"
    assert count(98_300, Bytes(98_362_432)) == "0.1 of 98.4 MB"
    assert count(3, 0) == ""
