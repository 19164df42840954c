"""`seriatim train sft`, `dpo` and `export`: tuning, and the model that comes of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seriatim.cli.resuming import remembered, told_end, told_loss
from seriatim.cli.scope import JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriatim.olmoe.tokenizer import Tokenizer
    from seriatim.training.examples import Examples
    from seriatim.training.tune_config import DpoConfig, SftConfig

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The settings.", show_default=False)]
StepsOption = Annotated[
    int | None, typer.Option("--steps", metavar="N", min=1, help="Stop at step N.", show_default=False)
]
RunOption = Annotated[Path, typer.Option("--run", metavar="DIR", help="The run's folder.", show_default=False)]


def sft(config: ConfigArgument, run: RunOption, steps: StepsOption = None, json: JsonOption = False) -> None:
    """Tune a model on conversations; the same command goes on with a run that was stopped."""
    from seriatim.training.config import read_settings
    from seriatim.training.examples import conversations
    from seriatim.training.tune_config import SftConfig

    tune_on(read_settings(config, SftConfig), run, steps, json, conversations, ("sft", config))


def dpo(config: ConfigArgument, run: RunOption, steps: StepsOption = None, json: JsonOption = False) -> None:
    """Tune a model on preferences; the same command goes on with a run that was stopped."""
    from seriatim.training.config import read_settings
    from seriatim.training.examples import preferences
    from seriatim.training.tune_config import DpoConfig

    tune_on(read_settings(config, DpoConfig), run, steps, json, preferences, ("dpo", config))


def tune_on(
    settings: "SftConfig | DpoConfig",
    run: Path,
    steps: int | None,
    json: bool,
    read: "Callable[[Path, Tokenizer, int], Examples]",
    begun_by: tuple[str, Path],
) -> None:
    """Tune by `settings` on the examples that `read` makes of their files, and print what came of it. `begun_by` is the
    command and its file of settings."""
    from seriatim.cli.printing import notice, print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.errors import UsageError
    from seriatim.models.olmoe import start_torch
    from seriatim.olmoe.tokenizer import Tokenizer
    from seriatim.training.tune_config import SftConfig

    if not settings.data.train:
        raise UsageError("data.train is missing: name a file of examples")
    tokenizer = Tokenizer.from_folder(settings.folder / settings.model.start)
    start_torch()
    from seriatim.training import tune

    found = {
        name: read(settings.folder / file, tokenizer, settings.data.max_length)
        for name, file in (("train", settings.data.train), ("validation", settings.data.validation))
        if file
    }
    for name, each in found.items():
        if each.too_long:
            notice(
                f"{each.too_long} examples of data.{name} are longer than {settings.data.max_length} tokens: left out"
            )
    rows = found["train"].rows
    held_out = found["validation"].rows if "validation" in found else None
    with remembered(run, *begun_by), progress_bar("Tuning") as update:
        if isinstance(settings, SftConfig):
            tuned = tune.sft(rows, settings, run, validation=held_out, steps=steps, progress=update)
        else:
            tuned = tune.dpo(rows, settings, run, validation=held_out, steps=steps, progress=update)
    told_end(tuned.step, steps)
    if json:
        print_json(
            {
                "checkpoint": str(tuned.checkpoint), "step": tuned.step, "loss": tuned.loss,
                "validation_loss": tuned.validation_loss, "trained_parameters": tuned.trained,
                "examples": len(rows), "too_long": found["train"].too_long,
            }
        )  # fmt: skip
    else:
        print(f"step {tuned.step:,}{told_loss(tuned.loss)}, {tuned.trained:,} weights trained: {tuned.checkpoint}")
        print(f"make a model of it: seriatim train export {run} --out DIR")


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.", show_default=False)],
    gguf: Annotated[bool, typer.Option("--gguf", help="Write DIR.gguf for llama.cpp, too.")] = False,
    kind: Annotated[
        Literal["F32", "F16", "Q8_0", "Q4_0"], typer.Option("--kind", help="How the GGUF file stores matrices.")
    ] = "F16",
    json: JsonOption = False,
) -> None:
    """Make a model of a run's newest checkpoint, in Hugging Face's form."""
    from functools import partial

    from seriatim.cli.printing import print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.models.olmoe import start_torch

    start_torch()
    from seriatim.training.export import export as written

    with progress_bar("Exporting") as update:
        paths = written(run, out, gguf=gguf, kind=kind, progress=partial(update, out.name))
    if json:
        print_json({"run": str(run), "written": [str(path) for path in paths]})
    else:
        print("\n".join(map(str, paths)))
