"""`seriatim demo`: the sample document that comes with Seriatim, and one good question to it."""

import json as jsonlines
import sys
from pathlib import Path
from typing import Annotated

import typer

from seriatim.cli.ask import ModelOption, ask
from seriatim.cli.scope import JsonOption
from seriatim.errors import DocumentError

# The document's people are wrong about this at first and put it right many pages later.
_QUESTION = "q19"
_NEXT_QUESTION = "q33"


def demo(
    question: Annotated[
        str | None,
        typer.Option("--question", metavar="TEXT", help="Ask this instead of the usual question.", show_default=False),
    ] = None,
    model: ModelOption = None,
    json: JsonOption = False,
) -> None:
    """Ask the sample document a question, to see how it all works."""
    from seriatim.home import home
    from seriatim.retrieval.library import check_request

    folder = sample_folder()
    questions = _questions(folder)
    question = questions[_QUESTION] if question is None else question
    check_request(question)
    if not json:
        _introduce(question)
    ask(
        question,
        paths=[str(path) for path in sample_documents(folder)],
        library=home() / "demo",
        model=model,
        json=json,
    )
    if not json:
        _suggest(questions[_NEXT_QUESTION])


def sample_folder() -> Path:
    """The folder of the sample document: in the installed package, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / "questions.jsonl").is_file():
            return folder
    raise DocumentError(f"the sample document is missing from {package / 'examples'}; install Seriatim again")


def sample_documents(folder: Path) -> list[Path]:
    """The sample documents in `folder`."""
    return sorted(path for path in folder.glob("*.md") if path.name != "README.md")


def _questions(folder: Path) -> dict[str, str]:
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["id"]: entry["question"] for entry in map(jsonlines.loads, lines)}


def _introduce(question: str) -> None:
    from seriatim.cli.flow import flow
    from seriatim.cli.screen import open_screen

    screen = open_screen(sys.stdout)
    flow(
        screen,
        "The Sennet Water Papers: minutes, letters and testimony about a lake that went out one night in 1887. Many "
        "who speak in them are wrong at first and put it right pages later; so a model on this machine reads the "
        "passages that bear on the question in the papers' own order.",
        style="dim",
    )
    screen.write("\n")
    flow(screen, question, style="bold")
    screen.write("\n")


def _suggest(question: str) -> None:
    from seriatim.cli.screen import open_screen

    screen = open_screen(sys.stdout)
    screen.write("\nNow you:\n", "bold")
    for command in (
        f'seriatim demo --question "{question}"',
        'seriatim ask "What was decided in the end?" --in report.pdf',
        "seriatim add ~/Documents    # and then ask without --in",
    ):
        screen.write(f"  {command}\n")
