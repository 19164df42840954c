"""The commands of Seriatim, put together."""

from typing import Annotated

import typer

from seriatim.cli import evaluation, library, model, training
from seriatim.cli.ask import ask
from seriatim.cli.demo import demo
from seriatim.cli.library import add
from seriatim.cli.search import search
from seriatim.cli.serve import mcp, serve

app = typer.Typer(
    name="seriatim",
    help="Ask long documents questions: passages in reading order, a model that corrects itself, checked citations.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Ask long documents questions, on your own machine."""
    if version:
        import seriatim

        print(f"seriatim {seriatim.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


app.command()(ask)
app.command()(search)
app.command()(add)
app.add_typer(library.app, name="library")
app.add_typer(model.app, name="model")
app.add_typer(evaluation.app, name="eval")
app.add_typer(training.app, name="train")
app.command()(demo)
app.command()(serve)
app.command()(mcp)
