"""Passages and citations as a person reads them."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from seriatim.cli.flow import Flow, flow
from seriatim.cli.literal import line, literal, short_names
from seriatim.cli.screen import CITED_STYLE, DOUBT_STYLE, READ_STYLE, Screen
from seriatim.retrieval.context import Ranked

QUOTE_CHARACTERS = 300


def show_passages(screen: Screen, passages: Sequence[Ranked], lengths: Mapping[str, int]) -> None:
    """Write the passages in the order given, each under a line that says where it stands; gaps are marked.

    `lengths` gives each document's characters.
    """
    names = short_names(ranked.passage.document for ranked in passages)
    before: Ranked | None = None
    for number, ranked in enumerate(passages, start=1):
        passage = ranked.passage
        if before is not None:
            adjoining = before.passage.document == passage.document and before.passage.end == passage.start
            screen.write("\n" if adjoining else f"\n{screen.glyph('⋯', '...')}\n\n", "dim")
        where = [f"page {passage.page}"] if passage.page else []
        where += [_position(passage.start, passage.end, lengths.get(passage.document)), f"rank {ranked.rank}"]
        _head(screen, number, READ_STYLE, names[passage.document], where)
        flow(screen, _paragraphs(passage.text) if screen.width else passage.text)
        before = ranked


def show_citation(screen: Screen, number: int, document: str, page: int | None, quote: str, *, supported: bool) -> None:
    """Write one citation: the passage's number, its place, and the words quoted from it, checked or not."""
    where = [f"page {page}"] if page else []
    if supported:
        _head(screen, number, CITED_STYLE, document, where)
    else:
        _head(screen, number, DOUBT_STYLE, document, [*where, "does not support the claim"], DOUBT_STYLE)
    quote = _on_one_line(quote)
    if len(quote) > QUOTE_CHARACTERS:
        quote = quote[:QUOTE_CHARACTERS].rsplit(" ", 1)[0] + screen.glyph("…", "...")
    if quote:
        flow(screen, screen.glyph(f"“{quote}”", f'"{quote}"'), style="dim", prefix=_hanging(number))


def _head(
    screen: Screen, number: int, number_style: str, document: str, where: Sequence[str], style: str = "dim"
) -> None:
    """The line over a passage or citation: its number, its document, and where in it."""
    head = Flow(screen, start=f"[{number}] ", prefix=_hanging(number), prefix_style=number_style)
    head.feed(document, "bold")
    for each in where:
        head.feed(screen.glyph(" · ", ", ") + each, style)
    head.close()


def _on_one_line(quote: str) -> str:
    """A quotation on one line; of a table, the rows divided by semicolons and the rule under its head left out."""
    rows = literal(quote).strip().split("\n")
    # A quotation may begin and end inside a row.
    ends = [before.rstrip().endswith("|") and row.lstrip().startswith("|") for before, row in pairwise(rows)]
    if not ends or not all(ends):
        return line(quote)
    return line("; ".join(row.strip(" \t|") for row in rows if row.strip(" \t|:-")))


def _paragraphs(text: str) -> str:
    from seriatim.reflection.prompts import reflowed

    return reflowed(text)


def _hanging(number: int) -> str:
    return " " * (len(str(number)) + 3)


def _position(start: int, end: int, length: int | None) -> str:
    if not length:
        return f"characters {start:,}-{end:,}"
    return f"at {100 * start / length:.0f}%"
