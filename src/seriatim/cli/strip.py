"""The reading strip: where in each document the passages lie that the model read, and which of them it cites."""

from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from itertools import groupby

from seriatim.cli.flow import Flow, cells
from seriatim.cli.literal import plural, short_names
from seriatim.cli.screen import CITED_STYLE, READ_STYLE, Screen
from seriatim.retrieval.context import Ranked

_MOST_ROWS = 8
_NAME_SHARE = 3  # the name takes at most a third of the row,
_NARROWEST_BAND = 40  # and stands above it where too little is left


class Mark(IntEnum):
    """What became of a stretch of a document. The greater mark wins a column."""

    UNREAD = 0
    READ = 1
    CITED = 2


def band(spans: Sequence[tuple[int, int, Mark]], characters: int, columns: int) -> list[Mark]:
    """A document of `characters` as a row of `columns`, each with the greatest mark of the `spans` in it."""
    marks = [Mark.UNREAD] * columns
    length = max(1, characters)
    for start, end, mark in spans:
        first = min(columns - 1, start * columns // length)
        last = min(columns - 1, max(first, -(-end * columns // length) - 1))
        for column in range(first, last + 1):
            marks[column] = max(marks[column], mark)
    return marks


def draw_strip(
    screen: Screen,
    passages: Sequence[Ranked],
    lengths: Mapping[str, int],
    cited: Collection[int] = (),
    *,
    verb: str = "read",
) -> None:
    """Draw a row for each document among `passages`, and a legend.

    `lengths` gives each document's characters; `cited` holds the places (from 0) of cited passages in `passages`;
    `verb` says in the legend what became of the passages. Nothing is drawn where there is no width to draw in.
    """
    if screen.width is None or not passages:
        return
    spans: dict[str, list[tuple[int, int, Mark]]] = {}
    for place, ranked in enumerate(passages):
        passage = ranked.passage
        mark = Mark.CITED if place in cited else Mark.READ
        spans.setdefault(passage.document, []).append((passage.start, passage.end, mark))
    names = short_names(spans)
    column = min(max(cells(name) for name in names.values()), screen.width // _NAME_SHARE)
    above = screen.width - column < _NARROWEST_BAND
    for document in list(spans)[:_MOST_ROWS]:
        name = _fit(names[document], screen.width if above else column, screen.glyph("…", "~"))
        screen.write(name + ("\n" if above else "  "), "dim")
        characters = lengths.get(document) or max(end for _, end, _ in spans[document])
        _draw_band(screen, band(spans[document], characters, screen.width - (0 if above else column + 2)))
        screen.write("\n")
    if len(spans) > _MOST_ROWS:
        screen.write(f"and {len(spans) - _MOST_ROWS} more documents\n", "dim")
    legend = f"{plural(len(passages), 'passage')} {verb}"
    _draw_legend(screen, legend, len(set(cited)), "" if above else " " * (column + 2))


def _draw_band(screen: Screen, marks: Sequence[Mark]) -> None:
    for mark, run in groupby(marks):
        glyph, style = _ink(screen, mark)
        screen.write(glyph * len(list(run)), style)


def _draw_legend(screen: Screen, read: str, cited: int, indent: str) -> None:
    legend = Flow(screen, prefix=indent)
    for mark, words in [(Mark.READ, read)] + ([(Mark.CITED, f"{cited} cited")] if cited else []):
        glyph, style = _ink(screen, mark)
        legend.feed(glyph, style)
        legend.feed(f" {words}  ", "dim")
    legend.close()


def _ink(screen: Screen, mark: Mark) -> tuple[str, str]:
    return {
        Mark.UNREAD: (screen.glyph("─", "-"), "dim"),
        Mark.READ: (screen.glyph("━", "="), READ_STYLE),
        Mark.CITED: (screen.glyph("█", "#"), CITED_STYLE),
    }[mark]


def _fit(name: str, columns: int, ellipsis: str) -> str:
    """`name` in exactly `columns`, its beginning given up where it is too long: the end tells files apart."""
    if cells(name) > columns:
        while name and cells(name) > columns - 1:
            name = name[1:]
        name = ellipsis + name
    return name + " " * (columns - cells(name))
