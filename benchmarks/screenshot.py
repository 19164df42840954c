"""A picture of what a command writes on a terminal of 100 columns, made by running it.

python benchmarks/screenshot.py docs/ask.svg seriatim ask "What …?" --in moby-dick.txt
"""

import fcntl
import io
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100


def main() -> None:
    out, *command = sys.argv[1:]
    console = Console(width=COLUMNS, record=True, file=io.StringIO())
    typed = " ".join(f'"{word}"' if " " in word else word for word in command)
    console.print(Text(f"$ {typed}\n", style="bold"))
    console.print(Text.from_ansi(_written(command)))
    Path(out).write_text(console.export_svg(title="Seriatim"), encoding="utf-8")


def _written(command: list[str]) -> str:
    """What `command` writes to standard output where that is a terminal; its progress goes to standard error."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(command, stdout=theirs, env=os.environ | {"TERM": "xterm-256color"})
    os.close(theirs)
    written = b""
    while True:
        try:
            read = os.read(ours, 1 << 16)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not read:
            break
        written += read
    if process.wait():
        raise SystemExit(f"{shlex.join(command)} failed")
    return written.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
