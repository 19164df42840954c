"""Commands run as people run them: in a process of its own, in a pipe or in a terminal of a given size."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

SERIATIM = (sys.executable, "-m", "seriatim")
_OF_THIS_TERMINAL = {"COLUMNS", "LINES", "LC_ALL", "LC_CTYPE", "NO_COLOR", "FORCE_COLOR"}
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def seriatim(*arguments: str, stdin: bytes = b"", folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run `seriatim` with pipes."""
    done = subprocess.run([*SERIATIM, *arguments], input=stdin, capture_output=True, cwd=folder, timeout=120)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def in_terminal(command: Sequence[str], *, columns: int = 100, **environment: str) -> tuple[int, str]:
    """Run a command in a terminal; returns its exit status and everything that it wrote there."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    settings = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **environment}
    outside = {name: value for name, value in os.environ.items() if name not in _OF_THIS_TERMINAL}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=outside | settings)
    os.close(terminal)
    written = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # what Linux says when the last writer is gone
            break
        if not piece:
            break
        written += piece
    os.close(master)
    return process.wait(timeout=60), written.decode().replace("\r\n", "\n")


def without_styles(written: str) -> str:
    """What was written, less colours and weights; other control sequences stay."""
    return _STYLES.sub("", written)


def without_controls(written: str) -> str:
    """What was written, less every control sequence."""
    return _CONTROLS.sub("", written)
