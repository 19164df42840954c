"""Printing without a screen: one JSON object on standard output, one-line notices on standard error, sizes."""

import json
import sys
from typing import Any

from seriatim.cli.literal import line


def print_json(value: Any) -> None:
    """Print `value` as the one JSON object of a command, in ASCII, so that no locale or terminal can spoil it."""
    print(json.dumps(value, indent=2), flush=True)


def notice(message: str) -> None:
    """Print one line on standard error."""
    print(f"seriatim: {line(message)}", file=sys.stderr, flush=True)


def megabytes(size: int) -> str:
    """A size in bytes, for people."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
