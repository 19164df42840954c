"""Run Python that nobody has read, so that whatever it does ends with it.

bubblewrap gives each program namespaces of its own: no network, no other process in sight, an empty environment, and a
root of its own that holds nothing but the system's libraries and this Python, read-only. The program is an ordinary
user there and outside (where this process is root, one that no other process has), without capabilities and without
a way to new ones. Limits bound its memory, its processor time, what it writes, and the processes it starts: none. The
clock ends what merely waits, and with the first process of its namespace everything in it is gone.

Whether it came to its end is told by a nonce, which is printed after the program's last line: `os._exit(0)`,
`sys.exit()` or a printed "passed" are no success. The program's own process holds the nonce, so a program made to cheat
could look for it, as it could redefine what equality means; what a sandbox can promise is that it harms nobody.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from seriatim.documents.limits import MIB
from seriatim.errors import SeriatimError

_USER = 64_321  # what root's programs run as; no one else's, so that only they count for its limit of processes
_INSTALL = "install bubblewrap (apt-get install bubblewrap) where user namespaces are allowed, or leave code out"

# Sets the limits, which nobody can raise again, runs the program, and only then prints the nonce and `RESULT`. As in
# openai/human-eval the program's globals are empty, so `__name__` is not "__main__".
_HARNESS = """
import json, os, resource, sys
request = json.load(sys.stdin)
for name, most in request["limits"].items():
    resource.setrlimit(getattr(resource, name), (most, most))
names = {}
exec(compile(request["program"], "<program>", "exec"), names)
sys.stdout.flush()
os.write(1, ("\\n" + request["nonce"] + json.dumps(names.get("RESULT")) + "\\n").encode())
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a program may use: bytes of memory, seconds of processor time and by the clock, bytes that it prints."""

    memory_bytes: int = 512 * MIB
    cpu_s: int = 5
    wall_s: float = 20.0
    output_bytes: int = 256 * 1024

    @property
    def limits(self) -> dict[str, int]:
        """As names of resource limits."""
        return {
            "RLIMIT_AS": self.memory_bytes, "RLIMIT_CPU": self.cpu_s, "RLIMIT_FSIZE": self.output_bytes,
            "RLIMIT_NPROC": 1, "RLIMIT_NOFILE": 32, "RLIMIT_CORE": 0,
        }  # fmt: skip


DEFAULT = Allowance()


@dataclass(frozen=True, slots=True)
class Execution:
    """How a program ended: whether it came to its end, what its variable `RESULT` then held, and else why not."""

    finished: bool
    result: Any = None
    error: str = ""


def execute(program: str, allowance: Allowance = DEFAULT) -> Execution:
    """Run `program`. What it does wrong is in the `Execution`; raises `SeriatimError` where it cannot be isolated."""
    require()
    return _execute(program, allowance)


@cache
def require() -> None:
    """Raise `SeriatimError`, which says what to install, unless programs can be isolated here."""
    if sys.platform != "linux" or not shutil.which("bwrap"):
        raise SeriatimError(f"generated code runs only in a sandbox, and there is none: {_INSTALL}")
    if os.getuid() == 0 and not shutil.which("setpriv"):
        raise SeriatimError("root's sandbox needs setpriv: install util-linux, or run as another user")
    tried = _execute("import os, json, math; RESULT = os.getuid()", DEFAULT)
    if not tried.finished or tried.result == 0:
        raise SeriatimError(f"generated code runs only in a sandbox, which fails here ({tried.error}): {_INSTALL}")


def _execute(program: str, allowance: Allowance) -> Execution:
    nonce = secrets.token_hex(16)
    with (
        tempfile.TemporaryFile() as request,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        request.write(json.dumps({"program": program, "nonce": nonce, "limits": allowance.limits}).encode())
        request.seek(0)
        # Files take what it prints, for a limit holds for them where a pipe would fill this process's memory.
        status = _run(_command(), request, output, errors, allowance.wall_s)
        said, complaint = _tail(output, allowance.output_bytes), _tail(errors, allowance.output_bytes)
    last = said.rstrip("\n").rpartition("\n")[2]
    if status == 0 and last.startswith(nonce):
        with suppress(ValueError, RecursionError):
            return Execution(True, json.loads(last.removeprefix(nonce)))
    return Execution(False, error=_reason(status, complaint, allowance))


def _run(command: list[str], request: IO[bytes], output: IO[bytes], errors: IO[bytes], wall_s: float) -> int | None:
    """The exit status; None where the clock ended it."""
    try:
        process = subprocess.Popen(
            command, stdin=request, stdout=output, stderr=errors, env={}, cwd="/", start_new_session=True
        )
    except OSError as error:
        raise SeriatimError(f"the sandbox did not start ({error.strerror}): {_INSTALL}") from error
    try:
        return process.wait(wall_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # With bubblewrap goes the first process of the namespace, and with that the kernel ends all others in it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _command() -> list[str]:
    root = os.getuid() == 0
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    unprivileged = ["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    dropping = [
        shutil.which("setpriv") or "setpriv", "--reuid", str(_USER), "--regid", str(_USER), "--clear-groups",
        "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--",
    ]  # fmt: skip
    return [
        shutil.which("bwrap") or "bwrap",
        "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        *([] if root else unprivileged),
        "--die-with-parent", "--new-session", "--clearenv", "--setenv", "LC_ALL", "C.UTF-8",
        *_mounts(python),
        "--perms", "0755", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null",
        "--remount-ro", "/", "--chdir", "/", "--",
        *(dropping if root else []),
        python, "-I", "-S", "-B", "-c", _HARNESS,
    ]  # fmt: skip


def _mounts(python: str) -> list[str]:
    """The system's programs and libraries, and the parts of this Python that lie elsewhere; nothing can be written."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("/lib", "/lib64", "/lib32"):
        if os.path.islink(name):
            arguments += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            arguments += ["--ro-bind", name, name]
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    for place in (Path(python).parent, library, library.parent):
        if not place.is_relative_to("/usr") and not place.is_relative_to("/lib"):
            arguments += ["--ro-bind", str(place), str(place)]
    return arguments


def _tail(file: IO[bytes], most: int) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - most))
    return file.read().decode("utf-8", "replace")


def _reason(status: int | None, complaint: str, allowance: Allowance) -> str:
    lines = complaint.strip().splitlines()
    if status is None:
        return f"took more than {allowance.wall_s:g} s"
    if status in (128 + signal.SIGKILL, 128 + signal.SIGXCPU):
        return f"took more than {allowance.cpu_s} s of processor time"
    if status and lines:
        return lines[-1][:300]
    return f"ended early (exit status {status})"
