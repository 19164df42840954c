"""`seriatim ask`: the main job."""

import sys
from typing import Annotated

import typer

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

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="The model that reads: a name of `seriatim model list`, a .gguf file, the folder of an OLMoE checkpoint, "
        "or the URL of an endpoint.",
        show_default=False,
    ),
]
ReflectOption = Annotated[
    bool, typer.Option("--reflect/--no-reflect", help="Whether the model reviews its own draft and corrects it.")
]
ThinkingOption = Annotated[
    bool | None,
    typer.Option(
        "--show-thinking/--hide-thinking",
        help="Show the plan, the thinking and the reflections; the default on a terminal.",
        show_default=False,
    ),
]


def ask(
    question: QuestionArgument,
    paths: InOption = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    tokens: TokensOption = "1024",
    passages: PassagesOption = None,
    order: OrderOption = "document",
    effort: EffortOption = "balanced",
    embedder: EmbedderOption = None,
    reflect: ReflectOption = True,
    thinking: ThinkingOption = None,
    json: JsonOption = False,
) -> None:
    """Answer a question from your documents, with checked citations.

    Without --in, every document of the library is asked, also those that --in put there.
    """
    from seriatim.answering import answer
    from seriatim.cli.display import last_answer, show_answer
    from seriatim.cli.printing import notice, print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.cli.screen import open_screen
    from seriatim.cli.status import Status
    from seriatim.models.opening import open_generator
    from seriatim.retrieval.asked import library_for
    from seriatim.retrieval.budget import ceiling

    with library_for(paths or (), library if paths else kept(library), embedder=embedder) as opened:
        documents = documents_asked(opened, paths)
        with progress_bar("Opening the model") as update:
            generator = open_generator(model, passage_tokens=ceiling(budget(tokens)), progress=update)
        try:
            with Status(sys.stderr) as status:
                events = answer(
                    question,
                    opened,
                    generator,
                    documents=documents,
                    tokens=budget(tokens),
                    passages=passages,
                    order=order,
                    effort=effort,
                    reflect=reflect,
                    progress=status.progress,
                )
                if json:
                    print_json(last_answer(events, status).to_dict())
                else:
                    screen = open_screen(sys.stdout)
                    lengths = {info.name: info.characters for info in opened.documents()}
                    shown = screen.console is not None if thinking is None else thinking
                    show_answer(events, screen, status, lengths, thinking=shown)
        finally:
            generator.close()
        for note in opened.notes:
            notice(note)
