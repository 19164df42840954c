"""`seriatim train show|mine|reflect`: the data of Reflection-Tuning, and models that are taught by it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seriatim.cli.resuming import remembered, told_end, told_loss
from seriatim.cli.scope import JsonOption
from seriatim.cli.tuning import ConfigArgument, RunOption, StepsOption, tune_on

if TYPE_CHECKING:
    from seriatim.olmoe.tokenizer import Tokenizer
    from seriatim.training.examples import Examples
    from seriatim.training.minidag.config import MiniDagConfig

_STYLES = {"asked": "dim", "masked": "red strike", "learned": "green", "tag": "bold green"}


def show(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A file of examples.", show_default=False)],
    tokenizer: Annotated[
        Path, typer.Option("--tokenizer", metavar="FILE", help="A tokenizer.json, or a model's folder.")
    ],
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Show so many.")] = 3,
    longest: Annotated[int, typer.Option("--longest", metavar="N", min=1, help="Drop what has more tokens.")] = 4096,
    json: JsonOption = False,
) -> None:
    """Show examples as tokens: what is learned from, and what is only read (red; ⟦so⟧ without colours)."""
    from seriatim.cli.literal import literal
    from seriatim.cli.printing import print_json
    from seriatim.cli.screen import open_screen
    from seriatim.training.data.vocabulary import existing
    from seriatim.training.reflection.segments import encode_all, read_examples
    from seriatim.training.reflection.show import counts, runs

    symbols = existing(tokenizer)
    encoded, dropped = encode_all(read_examples(data), symbols, longest)
    totals = counts(encoded)
    reasons = {reason: number for reason, number in dropped.items() if reason != "kept"}
    if json:
        print_json({"data": str(data), **totals, "dropped": reasons})
        return
    screen = open_screen(sys.stdout)
    for each in encoded[:count]:
        for kind, text in runs(each, symbols):
            plain = kind == "masked" and screen.console is None
            screen.write(f"⟦{literal(text)}⟧" if plain else literal(text), _STYLES[kind])
        screen.write("\n\n")
    screen.write(
        f"{totals['examples']:,} examples, {totals['tokens']:,} tokens, {totals['learned_tokens']:,} learned from\n"
    )
    for reason, number in reasons.items():
        screen.write(f"{number:,} dropped: {reason}\n")


def mine(config: ConfigArgument, json: JsonOption = False) -> None:
    """Make examples: of a model's own mistakes, of its right responses, or of mistakes put into right answers."""
    from dataclasses import asdict

    from seriatim.cli.printing import print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.errors import Interrupted
    from seriatim.training.reflection.config import read_config

    settings = read_config(config)
    from seriatim.training.reflection.making import make

    try:
        with progress_bar("Making examples") as update:
            made = make(settings, update)
    except KeyboardInterrupt:
        raise Interrupted(f"go on with: seriatim train mine {config}") from None
    if json:
        print_json({**asdict(made), "file": str(made.file)})
        return
    print(f"{made.examples:,} examples: {made.file}")
    for what, number in made.responses.items():
        print(f"{number:>8,} {what}")
    for words, number in made.contaminated.items():
        print(f"{number:>8,} share {words} words in a row with a benchmark")


def reflect(
    config: ConfigArgument,
    run: RunOption,
    steps: StepsOption = None,
    problems: Annotated[int, typer.Option("--problems", metavar="N", min=1, help="MiniDAG: test on so many.")] = 100,
    json: JsonOption = False,
) -> None:
    """Teach a model to correct itself: a checkpoint on a file of examples, or a tiny model MiniDAG, from nothing.

    Settings with a table [data] are the former. A run that was stopped goes on.
    """
    from seriatim.training.config import read_settings, tables
    from seriatim.training.minidag.config import MiniDagConfig
    from seriatim.training.tune_config import SftConfig

    if "data" in tables(config):
        tune_on(read_settings(config, SftConfig), run, steps, json, _encoded, ("reflect", config))
        return
    _minidag(read_settings(config, MiniDagConfig), config, run, steps, problems, json)


def _encoded(file: Path, tokenizer: "Tokenizer", longest: int) -> "Examples":
    """A file of typed segments as rows to tune on; what cannot be trained on is told."""
    from seriatim.cli.printing import notice
    from seriatim.training.examples import Examples
    from seriatim.training.reflection.segments import encode_all, read_examples, rows

    encoded, counts = encode_all(read_examples(file), tokenizer, longest)
    too_long = counts.pop(f"it is longer than {longest} tokens", 0)
    for reason, number in counts.items():
        if reason != "kept":
            notice(f"{number:,} examples of {file.name} left out: {reason}")
    return Examples(rows(encoded), too_long)


def _minidag(settings: "MiniDagConfig", config: Path, run: Path, steps: int | None, problems: int, json: bool) -> None:
    from dataclasses import asdict
    from shlex import quote

    from seriatim.cli.printing import print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.models.olmoe import start_torch

    start_torch()
    from seriatim.training.minidag.study import report
    from seriatim.training.minidag.train import train

    with remembered(run, "reflect", config, problems=problems), progress_bar("Training") as update:
        trained = train(settings, run, steps=steps, progress=update)
    told_end(trained.step, steps)
    found = report(trained.checkpoint, settings.minidag, problems)
    if json:
        print_json({"checkpoint": str(trained.checkpoint), "step": trained.step, "loss": trained.loss, **asdict(found)})
        return
    print(f"step {trained.step:,}{told_loss(trained.loss)}: {run / 'last'}")
    print(f"accuracy {found.accuracy:.1f}%, with reflection banned {found.banned:.1f}%")
    print(f"after a wrong step put into its mouth it reflects with p {found.p_reflect_wrong:.2f}, "
          f"after a right one {found.p_reflect_right:.2f}, and recovers {found.recovery:.1f}%")  # fmt: skip
    asked = f"{quote(found.example)} --model {quote(str(run / 'last'))} --begin {quote(found.begin)}"
    print(f"\nsee how it goes on from a wrong step:\n\nseriatim model generate {asked}")
