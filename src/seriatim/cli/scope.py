"""What `ask` and `search` share: their options, and which documents of which library they are about."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seriatim.cli.printing import notice
from seriatim.cli.progress import progress_bar
from seriatim.errors import DocumentError, UsageError

if TYPE_CHECKING:
    from seriatim.retrieval.budget import Tokens
    from seriatim.retrieval.library import Library
    from seriatim.retrieval.reports import AddReport


Order = Literal["document", "relevance"]
Effort = Literal["fast", "balanced", "thorough"]


def _not_empty(question: str) -> str:
    if not question.strip():
        raise typer.BadParameter("the question is empty; ask something")
    return question


def _a_budget(tokens: str) -> str:
    if tokens != "auto" and not (tokens.isdecimal() and int(tokens) > 0):
        raise typer.BadParameter(f"{tokens!r} is not a whole number of at least 1, or auto")
    return tokens


def budget(tokens: str) -> "Tokens":
    """The value of --tokens."""
    return "auto" if tokens == "auto" else int(tokens)


QuestionArgument = Annotated[
    str, typer.Argument(metavar="QUESTION", callback=_not_empty, help="The question, in quotes.", show_default=False)
]
InOption = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar="PATH",
        help="Ask these documents only: a file, folder, glob or - for standard input. May be given several times. "
        "What is new or changed is indexed first and stays in the library; standard input does not.",
        show_default=False,
    ),
]
LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", metavar="DIR", help="The library's folder, instead of your own.", show_default=False),
]
TokensOption = Annotated[
    str,
    typer.Option(
        "--tokens",
        metavar="N|auto",
        callback=_a_budget,
        help="Read at most so many tokens of passages; auto: as many as the question calls for, 512 to 8,192.",
    ),
]
PassagesOption = Annotated[
    int | None,
    typer.Option("--passages", metavar="N", min=1, help="Read at most so many passages.", show_default=False),
]
OrderOption = Annotated[Order, typer.Option("--order", help="Read in the documents' order, or the best first.")]
EffortOption = Annotated[
    Effort,
    typer.Option("--effort", help="fast: words and static vectors; balanced: the best 200 again; thorough: all again."),
]
EmbedderOption = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        metavar="NAME",
        help="The second stage of a new library: static (none), minilm, bge-small-en-v1.5, a .gguf file, or "
        "URL#MODEL. A library keeps its embedder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def kept(library: Path | None) -> Path | None:
    """`library`, for a command that only reads: a folder that holds none is mistyped, and none is made there.

    Raises `UsageError` for such a folder.
    """
    from seriatim.retrieval.store import FILE

    # os.path says no where pathlib raises: a folder that may not be entered, a user who does not exist.
    if library is not None and not os.path.exists(os.path.join(os.path.expanduser(library), FILE)):
        raise UsageError(
            f"there is no library in {library}; keep documents there with: seriatim add PATH --library DIR"
        )
    return library


def take_in(library: "Library", paths: Sequence[str]) -> "AddReport":
    """Index what is new in `paths`, with progress; what cannot be read is listed on standard error.

    Raises `DocumentError` where nothing could be read.
    """
    with progress_bar("Indexing") as update:
        report = library.add(paths, progress=update)
    failures = report.failures
    fatal = failures.pop() if failures and not (report.documents or report.removed) else None
    for failure in failures:
        notice(failure)
    if fatal:
        raise DocumentError(fatal)
    return report


def documents_asked(library: "Library", paths: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names to limit a question to: those in `paths`, indexed first; None (all) without paths.

    Raises `UsageError` where there is nothing to ask.
    """
    if paths:
        return take_in(library, paths).documents
    if not library.documents():
        raise UsageError(
            f"there is nothing to ask yet: the library {library.path} is empty; name documents with --in PATH, "
            "or keep some with: seriatim add PATH"
        )
    return None
