"""`seriatim train resume`: go on with a run by its folder alone."""

import json as json_format
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from seriatim.cli.scope import JsonOption

_FILE = "command.json"


@contextmanager
def remembered(run: Path, command: str, config: Path, **options: int) -> Iterator[None]:
    """Note in the run's folder which command is at it, from which settings and with which options, for `resume`.

    Where the block refuses them, what was noted before stays; where it is interrupted, the way to go on is told.
    """
    from seriatim.errors import Interrupted, SeriatimError, UsageError
    from seriatim.files import write_json, write_text

    file = run / _FILE
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else None
        write_json(file, {"command": command, "config": str(config.resolve()), "options": options})
    except OSError as error:
        raise SeriatimError(f"the run's folder {run} cannot be written: {error.strerror}") from error
    try:
        yield
    except UsageError:
        if before is None:
            file.unlink(missing_ok=True)
        else:
            write_text(file, before)
        raise
    except KeyboardInterrupt:
        raise Interrupted(f"go on with: seriatim train resume {run}") from None


def told_loss(loss: float | None) -> str:
    """The loss that a run ended with, as the line about its end goes on; nothing where it was not kept."""
    return "" if loss is None else f", loss {loss:.4f}"


def told_end(step: int, asked: int | None) -> None:
    """Tell, on standard error, that a run which was to stop at step `asked` stands at another one."""
    from seriatim.cli.printing import notice

    if asked is not None and step > asked:
        notice(f"the run is at step {step:,} already: there was nothing to do until step {asked:,}")
    elif asked is not None and step < asked:
        notice(f"the run ends at step {step:,}, as its settings say: it has no step {asked:,}")


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.", show_default=False)],
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, help="Stop at step N.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Go on with a run that was stopped, as the command that began it would."""
    from seriatim.cli.reflecting import reflect
    from seriatim.cli.training import pretrain
    from seriatim.cli.tuning import dpo, sft
    from seriatim.errors import UsageError

    commands: dict[str, Callable[..., None]] = {"pretrain": pretrain, "sft": sft, "dpo": dpo, "reflect": reflect}
    try:
        noted = json_format.loads((run / _FILE).read_text(encoding="utf-8"))
        command, config, options = commands[noted["command"]], Path(noted["config"]), noted["options"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{run} holds no run: begin one with seriatim train pretrain CONFIG.toml --run {run}"
        ) from error
    if not config.exists():
        raise UsageError(
            f"the settings of this run stood in {config}, which is gone: "
            f"go on with seriatim train {noted['command']} CONFIG.toml --run {run}"
        )
    shared, processes = options.get("expert_parallel", 1), int(os.environ.get("WORLD_SIZE", "1"))
    if processes % shared:
        raise UsageError(
            f"{shared} processes share the experts of this run: go on with torchrun --nproc-per-node {shared} -m -- "
            f"seriatim train resume {run}, or without sharing, seriatim train pretrain {quote(str(config))} --run {run}"
        )
    command(config, run, steps=steps, json=json, **options)
