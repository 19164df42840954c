"""Write the parts of the reference that come from the code: docs/commands.md and docs/http-api.md.

    python docs/generate.py

tests/test_reference.py fails where a file is not what this writes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

FOLDER = Path(__file__).resolve().parent
_MADE = "<!-- Made by docs/generate.py: change the code, not this file. -->\n"


def main() -> None:
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The generated files, by name."""
    return {"commands.md": commands(), "http-api.md": http_api()}


def commands() -> str:
    """Every command with its arguments and options, from the command line's own description."""
    from seriatim.cli.app import app

    parts = [
        _MADE,
        "# Commands\n",
        "What `--help` says, of every command. [reference.md](reference.md) explains more.\n",
    ]
    for name, command in _leaves(typer.main.get_command(app), "seriatim"):
        parts.append(f"## {name}\n")
        parts.append(" ".join((command.help or "").split()) + "\n")
        rows = [_row(each) for each in command.params]
        parts += ["| | | default |", "|---|---|---|", *rows, ""]
    return "\n".join(parts).rstrip() + "\n"


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for each, held in inner.items():
        yield from _leaves(held, f"{name} {each}")


def _row(parameter: Any) -> str:
    if isinstance(parameter, typer.core.TyperArgument):
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        spelled = "/".join([*parameter.opts, *parameter.secondary_opts])
        kind = "" if parameter.is_flag else f" {parameter.metavar or _choices(parameter.type)}"
        names = f"`{spelled}{kind}`"
    shown = parameter.default is not None and not callable(parameter.default)
    default = "" if not shown or parameter.default is False else f"`{_plain(parameter.default)}`"
    said = " ".join((getattr(parameter, "help", None) or "").split())
    return f"| {_cell(names)} | {_cell(said)} | {_cell('required' if parameter.required else default)} |"


def _choices(kind: Any) -> str:
    choices = getattr(kind, "choices", None)
    return "|".join(str(getattr(each, "value", each)) for each in choices) if choices else str(kind.name).upper()


def _plain(value: Any) -> str:
    return str(getattr(value, "value", value))


def http_api() -> str:
    """Every operation of the HTTP API, from its OpenAPI description."""
    from fastapi import FastAPI

    from seriatim.server import api, openai_api
    from seriatim.server.reference import operations

    app = FastAPI()
    app.include_router(api.router)
    app.include_router(openai_api.router)
    parts = [_MADE, "# HTTP API\n", "Every operation; [server.md](server.md) explains them.\n"]
    for each in operations(app.openapi()):
        parts.append(f"## {each.method} {each.path}\n")
        parts.append(" ".join(each.description.split()) + "\n")
        if each.fields:
            parts += ["| | | |", "|---|---|---|"]
            parts += [
                f"| `{name}` | {_cell(kind)} | {'required' if needed else 'optional'} |"
                for name, kind, needed in each.fields
            ]
            parts.append("")
        if each.answer:
            parts.append(f"Answers with `{each.answer}`.\n")
    return "\n".join(parts).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    main()
