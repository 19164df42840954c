"""`seriatim train`: data, pretraining, tuning, models of runs."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from seriatim.cli.reflecting import mine, reflect, show
from seriatim.cli.resuming import remembered, resume, told_end, told_loss
from seriatim.cli.scope import JsonOption
from seriatim.cli.studying import plan, routing
from seriatim.cli.tuning import ConfigArgument, RunOption, StepsOption, dpo, export, sft

app = typer.Typer(help="Train OLMoE models.", no_args_is_help=True)

_NAMED = 10  # files that are named where many cannot be read


@app.command()
def data(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, folders, patterns.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.", show_default=False)],
    tokenizer: Annotated[
        Path | None,
        typer.Option("--tokenizer", metavar="FILE", help="A tokenizer.json, or a model's folder.", show_default=False),
    ] = None,
    vocabulary: Annotated[
        int | None,
        typer.Option("--vocab", metavar="N", min=258, help="Instead: train one of N ids.", show_default=False),
    ] = None,
    field: Annotated[str, typer.Option("--field", help="The column with the text, of JSONL and Parquet.")] = "text",
    validation: Annotated[float, typer.Option("--validation", min=0.0, max=0.5, help="Share held out.")] = 0.0,
    filtered: Annotated[
        bool, typer.Option("--filter/--no-filter", help="Drop documents that repeat themselves.")
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes; one a core if not said.", show_default=False),
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out, and name, what cannot be read.", show_default=False)
    ] = False,
    json: JsonOption = False,
) -> None:
    """Turn texts into token shards."""
    from itertools import chain

    from seriatim.cli.printing import notice, print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.errors import UsageError
    from seriatim.training.config import within
    from seriatim.training.data import shards, sources
    from seriatim.training.data import vocabulary as vocabularies

    if (tokenizer is None) == (vocabulary is None):
        raise UsageError("name a tokenizer with --tokenizer, or train one with --vocab")
    within(("--validation", validation, 0, 0.5))  # typer lets nan through
    found = sources.files(paths)
    with progress_bar("Tokenising") as update:
        if tokenizer is not None:
            made = vocabularies.existing(tokenizer)
        else:
            texts = chain.from_iterable(sources.texts(file, field, skip=skip) for file in found)
            made = vocabularies.trained(texts, vocabulary or 0, update)
        held = shards.write(
            found, out, made, field=field, validation=validation, filtered=filtered,
            workers=workers or len(os.sched_getaffinity(0)), skip=skip, progress=update,
        )  # fmt: skip
    for reason in held.unreadable[:_NAMED]:
        notice(f"left out: {reason}")
    if len(held.unreadable) > _NAMED:
        notice(f"left out {len(held.unreadable) - _NAMED} more: {out / shards.MANIFEST} names them")
    counts = {
        split: {
            "tokens": sum(shard.tokens for shard in held.shards if shard.split == split),
            "documents": sum(shard.documents for shard in held.shards if shard.split == split),
        }
        for split in ("train", "validation")
    }
    if json:
        print_json({"data": str(out), "vocabulary": held.vocabulary, "unreadable": len(held.unreadable), **counts})
        return
    for split, count in counts.items():
        print(f"{split:10} {count['tokens']:>14,} tokens {count['documents']:>10,} documents")


@app.command()
def pretrain(
    config: ConfigArgument,
    run: RunOption,
    steps: StepsOption = None,
    expert_parallel: Annotated[
        int,
        typer.Option("--expert-parallel", metavar="P", min=1, help="So many processes share the experts (torchrun)."),
    ] = 1,
    json: JsonOption = False,
) -> None:
    """Train a model from the beginning; the same command goes on with a run that was stopped."""
    from seriatim.cli.printing import print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.models.olmoe import start_torch
    from seriatim.training.config import read_config

    settings = read_config(config)
    first = os.environ.get("RANK", "0") == "0"  # of several processes the first one speaks
    noted = remembered(run, "pretrain", config, expert_parallel=expert_parallel) if first else nullcontext()
    start_torch()
    from seriatim.training import loop

    with noted, progress_bar("Training") as update:
        trained = loop.pretrain(settings, run, steps=steps, expert_parallel=expert_parallel, progress=update)
    if not first:
        return
    told_end(trained.step, steps)
    if json:
        print_json(
            {
                "checkpoint": str(trained.checkpoint), "step": trained.step, "loss": trained.loss,
                "validation_loss": trained.validation_loss,
            }
        )  # fmt: skip
    else:
        print(f"step {trained.step:,}{told_loss(trained.loss)}: {run / 'last'}")


for command in (resume, sft, dpo, export, show, mine, reflect, plan, routing):
    app.command()(command)
