"""`seriatim model convert`: the same model in another form."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from seriatim.cli.scope import JsonOption

Form = Literal["hf", "gguf", "int8"]
Kind = Literal["F32", "F16", "Q8_0", "Q4_0"]


def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A checkpoint's folder, its name, or a .gguf file.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="The new folder or .gguf file.")],
    to: Annotated[
        Form,
        typer.Option(
            "--to",
            help="hf: a checkpoint that transformers loads; gguf: a file for llama.cpp; int8: a folder "
            "that Seriatim's engine maps.",
        ),
    ],
    kind: Annotated[
        Kind | None,
        typer.Option("--kind", help="How a GGUF file stores matrices; F16 if not said.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write an OLMoE model in another form."""
    from seriatim.cli.printing import megabytes, print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.errors import ModelError, UsageError
    from seriatim.models.opening import reader_path

    path, destination = reader_path(source, fetch=False), destination.expanduser()
    if not path.exists():
        raise ModelError(f"there is no model {path}: check the path")
    if kind is not None and to != "gguf":
        raise UsageError(f"--kind says how a GGUF file stores matrices: it does not go with --to {to}")
    with progress_bar("Converting") as update:
        _convert(path, destination, to, kind, partial(update, path.name))
    files = [destination] if destination.is_file() else list(destination.iterdir())
    size = sum(file.stat().st_size for file in files)
    if json:
        print_json({"source": str(path), "destination": str(destination), "to": to, "kind": kind, "bytes": size})
    else:
        print(f"{destination} holds {path.name} as {to} ({megabytes(size)})")


def _convert(path: Path, destination: Path, to: Form, kind: Kind | None, progress: Callable[[int, int], None]) -> None:
    from seriatim.errors import UsageError
    from seriatim.models.olmoe import start_torch

    start_torch()
    if path.is_file() and to != "hf":
        raise UsageError(f"{path} is a file: convert it with --to hf first, and the folder that comes of it to {to}")
    if path.is_dir() and to == "hf":
        raise UsageError(f"{path} is a folder: --to hf makes one of a .gguf file")
    from seriatim.olmoe import convert, int8
    from seriatim.olmoe.checkpoint import Checkpoint

    if to == "hf":
        convert.to_hf(path, destination, progress=progress)
    elif to == "gguf":
        convert.to_gguf(path, destination, kind or "F16", progress=progress)
    else:
        int8.pack(Checkpoint(path), destination, progress=progress)
