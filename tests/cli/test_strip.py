import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from seriatim.cli.screen import Screen
from seriatim.cli.strip import Mark, band, draw_strip
from seriatim.documents.document import Passage
from seriatim.retrieval.context import Ranked

MARKS = {Mark.UNREAD: "-", Mark.READ: "=", Mark.CITED: "#"}


def drawn(marks: list[Mark]) -> str:
    return "".join(MARKS[mark] for mark in marks)


def ranked(document: str, start: int, end: int) -> Ranked:
    return Ranked(Passage(document, 0, start, end, None, "", 1), 1, 1.0)


def strip(passages: list[Ranked], lengths: dict[str, int], cited: tuple[int, ...] = (), width: int = 60) -> str:
    file = io.StringIO()
    draw_strip(Screen(file, Console(file=file, width=width + 1), unicode=False), passages, lengths, cited)
    return file.getvalue()


def test_passages_lie_at_their_places() -> None:
    spans = [(0, 100, Mark.READ), (500, 600, Mark.CITED), (990, 1000, Mark.READ)]
    assert drawn(band(spans, 1000, 10)) == "=----#---="
    assert drawn(band(spans, 1000, 20)) == "==--------##-------="


def test_a_citation_is_never_hidden() -> None:
    assert drawn(band([(0, 900, Mark.READ), (300, 301, Mark.CITED), (0, 900, Mark.READ)], 1000, 10)) == "===#=====-"


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(1, 900), st.sampled_from([Mark.READ, Mark.CITED])), max_size=9
    ),
    st.integers(0, 5000),
    st.integers(1, 200),
)
def test_every_passage_shows_and_the_band_is_as_wide_as_asked(
    spans: list[tuple[int, int, Mark]], characters: int, columns: int
) -> None:
    marks = band([(start, start + size, mark) for start, size, mark in spans], characters, columns)
    assert len(marks) == columns
    assert max(marks) == max((mark for _, _, mark in spans), default=Mark.UNREAD)


def test_each_document_has_a_row_in_the_order_of_reading() -> None:
    passages = [ranked("/x/b.md", 0, 10), ranked("/x/a.md", 50, 100), ranked("/x/b.md", 90, 100)]
    rows = strip(passages, {"/x/a.md": 100, "/x/b.md": 100}, (1,)).splitlines()
    assert rows == [
        "b.md  " + "=" * 6 + "-" * 42 + "=" * 6,
        "a.md  " + "-" * 27 + "#" * 27,
        "      = 3 passages read  # 1 cited",
    ]


def test_long_names_give_way_and_stand_above_a_narrow_band() -> None:
    passages = [ranked("/x/the annual report of the council.pdf", 0, 50)]
    wide, _ = strip(passages, {}, width=90).splitlines()
    assert wide == "~ual report of the council.pdf  " + "=" * 58
    name, row, _ = strip(passages, {}, width=39).splitlines()
    assert name.strip() == "the annual report of the council.pdf"
    assert row == "=" * 39


def test_many_documents_are_counted() -> None:
    passages = [ranked(f"/x/{number}.md", 0, 10) for number in range(12)]
    rows = strip(passages, {}).splitlines()
    assert len(rows) == 10
    assert rows[-2:] == ["and 4 more documents", "       = 12 passages read"]


def test_a_pipe_has_no_strip() -> None:
    file = io.StringIO()
    draw_strip(Screen(file), [ranked("/x/a.md", 0, 10)], {})
    assert file.getvalue() == ""
