"""`seriatim search`: the passages alone."""

import sys
from typing import TYPE_CHECKING

from seriatim.cli.scope import (
    EffortOption,
    EmbedderOption,
    InOption,
    JsonOption,
    LibraryOption,
    OrderOption,
    PassagesOption,
    QuestionArgument,
    TokensOption,
    budget,
    documents_asked,
    kept,
)

if TYPE_CHECKING:
    from seriatim.retrieval.context import Context
    from seriatim.retrieval.library import Library


def search(
    question: QuestionArgument,
    paths: InOption = None,
    library: LibraryOption = None,
    tokens: TokensOption = "1024",
    passages: PassagesOption = None,
    order: OrderOption = "document",
    effort: EffortOption = "balanced",
    embedder: EmbedderOption = None,
    json: JsonOption = False,
) -> None:
    """Find the passages that answer a question, in reading order.

    Without --in, every document of the library is searched, also those that --in put there.
    """
    from seriatim.cli.printing import notice, print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.retrieval.asked import library_for

    with library_for(paths or (), library if paths else kept(library), embedder=embedder) as opened:
        documents = documents_asked(opened, paths)
        with progress_bar("Searching") as update:
            context = opened.search(
                question,
                documents=documents,
                tokens=budget(tokens),
                passages=passages,
                order=order,
                effort=effort,
                progress=update,
            )
        for note in opened.notes:
            notice(note)
        if json:
            print_json(context.to_dict())
        else:
            _show(context, opened)


def _show(context: "Context", library: "Library") -> None:
    from seriatim.cli.literal import plural
    from seriatim.cli.passages import show_passages
    from seriatim.cli.screen import open_screen
    from seriatim.cli.strip import draw_strip

    screen = open_screen(sys.stdout)
    lengths = {info.name: info.characters for info in library.documents()}
    show_passages(screen, context.passages, lengths)
    if screen.console:
        screen.write("\n")
        draw_strip(screen, context.passages, lengths, verb=f"found, {plural(context.tokens, 'token')}")
