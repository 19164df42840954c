"""`seriatim train resume`: go on with a run by its folder alone."""

import json as json_format
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from seriatim.cli.scope import JsonOption

_FILE = "command.json"


def remember(run: Path, command: str, config: Path) -> None:
    """Note in the run's folder which command made it, from which settings."""
    from seriatim.errors import SeriatimError

    try:
        run.mkdir(parents=True, exist_ok=True)
        noted = {"command": command, "config": str(config.resolve())}
        (run / _FILE).write_text(json_format.dumps(noted) + "\n", encoding="utf-8")
    except OSError as error:
        raise SeriatimError(f"the run's folder {run} cannot be written: {error.strerror}") from error


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
        command, config = commands[noted["command"]], Path(noted["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{run} holds no run: begin one with seriatim train pretrain CONFIG.toml --run {run}"
        ) from error
    if not config.exists():
        raise UsageError(
            f"the settings of this run stood in {config}, which is gone: "
            f"go on with seriatim train {noted['command']} CONFIG.toml --run {run}"
        )
    command(config, run, steps=steps, json=json)
