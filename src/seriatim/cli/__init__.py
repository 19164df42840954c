"""The command line. `main` is its entry: it runs a command and turns every error into one line and an exit status."""

import os
import sys
import warnings
from typing import TYPE_CHECKING, TextIO

from seriatim.errors import Interrupted, SeriatimError, UsageError

if TYPE_CHECKING:
    from typer.exceptions import TyperException

INTERRUPTED = 130
KEPT = "what came into the library or was downloaded until now is kept"


def main() -> int:
    """Run the command line on `sys.argv` and return the exit status: 0, 1 failed, 2 wrong use, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a locale that lacks a character is no reason to fail
    warnings.showwarning = _tell
    hint = "" if sys.argv[1:2] == ["train"] else f"; {KEPT}"  # training has no library
    try:
        status = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
        return 1
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Interrupted as stopped:
        status, hint = INTERRUPTED, f"; {stopped}"
    if status == INTERRUPTED:
        print(file=sys.stderr)  # the terminal has written ^C on whatever line it was
        _say(f"stopped{hint}")
    return status


def _run() -> int:
    from typer.exceptions import Abort, TyperException

    from seriatim.cli.app import app

    try:
        return app(prog_name="seriatim", standalone_mode=False) or 0
    except UsageError as error:
        _say(str(error))
        return 2
    except SeriatimError as error:
        _say(str(error))
        return 1
    except TyperException as error:
        return _misused(error)
    except Abort:
        return INTERRUPTED
    except (BrokenPipeError, Interrupted):
        raise
    except Exception as error:
        if os.environ.get("SERIATIM_DEBUG"):
            raise
        _say(
            f"sorry, this should not happen: {type(error).__name__}: {error} "
            "(run again with SERIATIM_DEBUG=1 for the traceback)"
        )
        return 1


def _misused(error: "TyperException") -> int:
    """Say what was wrong with the command itself; a group without a command gets its help."""
    message = _in_plain_words(error)
    if message.startswith("Usage:"):
        print(message)
        return 0
    context = getattr(error, "ctx", None)
    hint = f" (see: {context.command_path} --help)" if context else ""
    _say(message.replace("Value error, ", "").rstrip(". ") + hint)
    return error.exit_code


def _in_plain_words(error: "TyperException") -> str:
    """The message of `error`; for a number out of range, or none at all, with the numbers that are allowed."""
    message = error.format_message()
    kind = getattr(getattr(error, "param", None), "type", None)
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is None:
        return message
    noun = "a whole number" if isinstance(low, int) else "a number"
    given = message.rpartition(" is not ")[0]
    return f"{given} is not {noun} " + (f"of at least {low}" if high is None else f"from {low:g} to {high:g}")


def _say(message: str) -> None:
    from seriatim.cli.printing import notice

    notice(message)


def _tell(message: Warning | str, *_where: object, **_more: object) -> None:
    """Show a warning as the one line that it is, without the place in the source that it comes from."""
    _say(str(message))


def _discard(stream: TextIO) -> None:
    """Let what `stream` still holds go nowhere, so that the interpreter's last flush does not fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
