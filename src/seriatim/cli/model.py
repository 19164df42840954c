"""`seriatim model`: the models that read, and what is known about them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seriatim.cli.scope import JsonOption

if TYPE_CHECKING:
    from seriatim.cli.screen import Screen
    from seriatim.models.catalog import NamedModel
    from seriatim.models.generator import Piece
    from seriatim.models.gguf import GgufInfo

_HEADINGS = ("NAME", "KIND", "SIZE", "CONTEXT", "LICENCE", "HERE", "FROM")

app = typer.Typer(help="List, fetch, inspect and try out models.", rich_markup_mode=None, no_args_is_help=True)


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
    flow(screen, "A .gguf file or the address of an OpenAI-compatible server will do as well.")


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
        print(f"{model.name} is in {model.folder} ({_megabytes(model.size)})")


@app.command()
def inspect(
    model: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A name of `seriatim model list`, or a .gguf file.")
    ],
    json: JsonOption = False,
) -> None:
    """Show what a model's file says about itself, without loading it."""
    from dataclasses import asdict

    from seriatim.cli.literal import line
    from seriatim.cli.printing import print_json
    from seriatim.models import gguf

    info = gguf.inspect(_local_gguf(model))
    if json:
        print_json(asdict(info) | {"path": str(info.path)})
        return
    facts = _facts(info)
    width = max(len(name) for name, _ in facts)
    for name, fact in facts:
        print(f"{name.ljust(width)}  {line(str(fact))}")


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to say to the model; - reads standard input.")],
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="A name, a .gguf file, or the URL of an endpoint."),
    ] = None,
    system: Annotated[str | None, typer.Option("--system", metavar="TEXT", help="Instructions that go before.")] = None,
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
    from seriatim.models.generator import Message, Piece, Sampling
    from seriatim.models.opening import open_generator

    said = sys.stdin.read() if prompt == "-" else prompt
    messages = [*([Message("system", system)] if system else []), Message("user", said)]
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed)
    with progress_bar("Fetching the model") as update:
        generator = open_generator(model, progress=update)
    texts: list[str] = []
    reasoning: list[str] = []
    last = Piece()
    with closing(generator):
        for last in generator.stream(messages, stop=stop or (), max_tokens=max_tokens, sampling=sampling):
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
    return name, model.kind, _megabytes(model.size), f"{model.context_tokens:,}", model.licence, here, model.source


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


def _local_gguf(model: str) -> Path:
    """The file to inspect. What is not here is not fetched just to look at it."""
    from seriatim.errors import ModelError, UsageError
    from seriatim.models.catalog import MODELS, find

    if model not in MODELS and (model.endswith(".gguf") or Path(model).exists()):
        return Path(model).expanduser()
    named = find(model)
    if not named.paths[0].name.endswith(".gguf"):
        raise UsageError(f"{model} is an ONNX model: only GGUF files can be inspected")
    if not named.fetched:
        raise ModelError(f"{model} is not here yet: fetch it with `seriatim model pull {model}`")
    return named.paths[0]


def _facts(info: "GgufInfo") -> list[tuple[str, str]]:
    parameters = f"{info.parameters:,}"
    if info.active_parameters != info.parameters:
        parameters += f", of which {info.active_parameters:,} work on a token"
    total = sum(info.quantisation.values()) or 1
    shares = ", ".join(f"{name} {100 * size / total:.1f}%" for name, size in info.quantisation.items())
    experts = f"{info.experts}, of which {info.experts_used} work on a token" if info.experts else None
    facts = [
        ("name", info.name),
        ("architecture", info.architecture),
        ("parameters", parameters),
        ("size", _megabytes(info.file_bytes)),
        ("weights", shares),
        ("context", f"{info.context_tokens:,} tokens" if info.context_tokens else None),
        ("layers", _number(info.layers)),
        ("heads", _number(info.heads)),
        ("experts", experts),
        ("vocabulary", f"{info.vocabulary:,} tokens" if info.vocabulary else None),
        ("chat template", "yes" if info.chat_template else "no"),
        ("file", str(info.path)),
    ]
    return [(name, fact) for name, fact in facts if fact is not None]


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
