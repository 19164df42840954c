"""`seriatim model bench`: how fast a model is on this machine."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seriatim.cli.scope import JsonOption

if TYPE_CHECKING:
    from seriatim.models.bench import Measured, Work
    from seriatim.olmoe.interface import OlmoeModel
    from seriatim.olmoe.loading import Dtype

_LAYOUT_TOKENS = 256  # what a chat template adds to the prompt, and more


def bench(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A name, a .gguf file, or a checkpoint's folder.", show_default=False),
    ] = None,
    random: Annotated[
        str | None,
        typer.Option(
            "--random",
            metavar="NAME",
            help="Instead: a model with random weights, olmoe-1b-7b or tiny.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        Literal["int8", "float32"] | None,
        typer.Option("--dtype", help="What an OLMoE checkpoint is run in; int8 if not said.", show_default=False),
    ] = None,
    prompt: Annotated[int, typer.Option("--prompt", min=1, metavar="N", help="Tokens to read.")] = 512,
    generate: Annotated[int, typer.Option("--generate", min=1, metavar="N", help="Tokens to write.")] = 64,
    repeat: Annotated[int, typer.Option("--repeat", min=1, metavar="N", help="Runs, of which the median counts.")] = 1,
    json: JsonOption = False,
) -> None:
    """Measure how fast a model reads a prompt and writes an answer."""
    from dataclasses import asdict

    from seriatim.cli.literal import line
    from seriatim.cli.printing import megabytes, print_json
    from seriatim.models.bench import Work

    told = _measure(model, random, dtype, Work(prompt, generate, repeat))
    if json:
        print_json(asdict(told))
        return
    print(line(f"{told.model}, {told.dtype}"))
    print(f"prefill  {told.prefill_tokens_per_s:,.1f} tokens/s over {told.prompt:,} tokens")
    print(f"decode   {told.decode_tokens_per_s:,.1f} tokens/s, {told.generate:,} tokens")
    print(f"load     {told.load_s:,.1f} s")
    print(f"memory   {megabytes(told.peak_rss_bytes)} at most")


def _measure(model: str | None, random: str | None, dtype: "Dtype | None", work: "Work") -> "Measured":
    from seriatim import olmoe
    from seriatim.cli.progress import progress_bar
    from seriatim.errors import UsageError
    from seriatim.models.bench import measure_generator, measure_olmoe, random_model
    from seriatim.models.gguf import inspect
    from seriatim.models.llamacpp import LlamaCpp
    from seriatim.models.olmoe import start_torch
    from seriatim.models.opening import reader_path

    if (model is None) == (random is None):
        raise UsageError("name one model to measure: a name, a path, or --random olmoe-1b-7b")
    runs_in = dtype or "int8"
    if model is None:
        name = str(random)
        return measure_olmoe(name, lambda: random_model(name, runs_in), runs_in, work)
    path = reader_path(model, fetch=False)
    if path.is_dir():
        name = path.resolve().name

        def opened() -> "OlmoeModel":
            start_torch()
            return olmoe.load(path, runs_in, progress=partial(update, name))

        with progress_bar("Packing in int8") as update:
            return measure_olmoe(name, opened, runs_in, work)
    if dtype is not None:
        raise UsageError(f"{path} is a GGUF file, which runs as it is stored: leave --dtype out")
    context_tokens = work.prompt + work.generate + _LAYOUT_TOKENS
    stored = next(iter(inspect(path).quantisation), "unknown")
    return measure_generator(path.stem, lambda: LlamaCpp(path, context_tokens=context_tokens), stored, work)
