"""`seriatim model`: the models that read, and what is known about them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seriatim.cli.bench import bench
from seriatim.cli.conversion import convert
from seriatim.cli.inspection import inspect
from seriatim.cli.printing import megabytes
from seriatim.cli.scope import JsonOption

if TYPE_CHECKING:
    from seriatim.cli.screen import Screen
    from seriatim.models.catalog import NamedModel
    from seriatim.models.generator import Piece

_HEADINGS = ("NAME", "KIND", "SIZE", "CONTEXT", "LICENCE", "HERE", "FROM")

app = typer.Typer(
    help="List, fetch, inspect, convert, measure and try out models.", rich_markup_mode=None, no_args_is_help=True
)


@app.command("list")
def list_models(json: JsonOption = False) -> None:
    """List the models that have a name here."""
    from seriatim.cli.flow import flow
    from seriatim.cli.printing import print_json
    from seriatim.cli.screen import open_screen
    from seriatim.models.catalog import MODELS
    from seriatim.models.opening import default_reader

    default = default_reader()
    if json:
        print_json({"default": default, "models": [_as_dict(model) for model in MODELS.values()]})
        return
    screen = open_screen(sys.stdout)
    _show_models(screen, [_row(model, default) for model in MODELS.values()])
    screen.write("\n")
    flow(screen, f"* answers when no model is named: {default}")
    flow(
        screen,
        "A .gguf file, an OLMoE checkpoint's folder or the address of an OpenAI-compatible server will do as well.",
    )


@app.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `seriatim model list`.")],
    json: JsonOption = False,
) -> None:
    """Fetch a model, or go on with a fetch that was broken off."""
    from seriatim.cli.printing import print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.models import download
    from seriatim.models.catalog import find

    model = find(name)
    with progress_bar("Fetching the model") as update:
        download.pull(model, progress=update)
    if json:
        print_json(_as_dict(model))
    else:
        print(f"{model.name} is in {model.folder} ({megabytes(model.size)})")


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to say to the model; - reads standard input.")],
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="A name, a .gguf file, a checkpoint's folder, or a URL."),
    ] = None,
    system: Annotated[str | None, typer.Option("--system", metavar="TEXT", help="Instructions that go before.")] = None,
    begin: Annotated[
        str, typer.Option(metavar="TEXT", help="How the answer begins; it goes on from there, without repeating it.")
    ] = "",
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, metavar="N", help="The longest answer.")] = 512,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=10.0, metavar="T", help="0 always takes the likeliest.")
    ] = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", min=0.0, max=1.0, metavar="P", help="Nucleus sampling.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Repeats a draw.")] = 0,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="End before this text; may be repeated.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Let a model answer a prompt as it stands, without documents."""
    from contextlib import closing

    from seriatim.cli.literal import literal
    from seriatim.cli.printing import print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.models.generator import Message, Piece
    from seriatim.models.opening import open_generator
    from seriatim.sampling import Sampling

    said = sys.stdin.read() if prompt == "-" else prompt
    messages = [*([Message("system", system)] if system else []), Message("user", said)]
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed)
    with progress_bar("Fetching the model") as update:
        generator = open_generator(model, progress=update)
    texts: list[str] = []
    reasoning: list[str] = []
    last = Piece()
    with closing(generator):
        for last in generator.stream(messages, prefix=begin, stop=stop or (), max_tokens=max_tokens, sampling=sampling):
            (reasoning if last.reasoning else texts).append(last.text)
            if not json and not last.reasoning:
                print(literal(last.text) if sys.stdout.isatty() else last.text, end="", flush=True)
        if json:
            print_json(_generated(generator.name, "".join(texts), "".join(reasoning), last))
        else:
            print()


def _row(model: "NamedModel", default: str) -> tuple[str, ...]:
    """What the list says of a model, under `_HEADINGS`."""
    name = model.name + (" *" if model.name == default else "")
    here = "yes" if model.fetched else "no"
    return name, model.kind, megabytes(model.size), f"{model.context_tokens:,}", model.licence, here, model.source


def _show_models(screen: "Screen", rows: Sequence[tuple[str, ...]]) -> None:
    """Write a table, or each model in lines of its own where the screen is too narrow for one."""
    from seriatim.cli.flow import flow

    table = [_HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    if screen.width is None or max(map(len, lines)) <= screen.width:
        screen.write("\n".join(lines) + "\n")
        return
    dot = screen.glyph(" · ", ", ")
    for name, kind, size, context, licence, here, source in rows:
        facts = [kind, size, f"{context} tokens", licence, "here" if here == "yes" else "not here", source]
        flow(screen, name, style="bold")
        flow(screen, dot.join(facts), style="dim", prefix="  ")


def _generated(model: str, text: str, reasoning: str, last: "Piece") -> dict[str, Any]:
    from dataclasses import asdict

    usage = asdict(last.usage) if last.usage else None
    return {"model": model, "text": text, "reasoning": reasoning, "finish_reason": last.finish_reason, "usage": usage}


def _as_dict(model: "NamedModel") -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "title": model.title,
        "bytes": model.size,
        "licence": model.licence,
        "context_tokens": model.context_tokens,
        "fetched": model.fetched,
        "source": model.source,
        "files": [str(path) for path in model.paths],
    }


app.command()(inspect)
app.command()(convert)
app.command()(bench)
