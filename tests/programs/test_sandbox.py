"""Hostile programs: none succeeds, none harms, none outlives its run."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from seriatim.errors import SeriatimError
from seriatim.programs import sandbox
from seriatim.programs.sandbox import Allowance, execute


def _why_not() -> str:
    try:
        sandbox.require()
    except SeriatimError as error:
        return str(error)
    return ""


isolated = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


@isolated
def test_a_program_that_ends_gives_its_result() -> None:
    done = execute("import math\nprint('noise', end='')\nRESULT = [math.factorial(5), 'ä']")
    assert (done.finished, done.result, done.error) == (True, [120, "ä"], "")
    assert execute("x = 1").finished


@isolated
def test_what_fails_says_why() -> None:
    done = execute("assert 1 == 2, 'not so'")
    assert (done.finished, done.error) == (False, "AssertionError: not so")
    assert "SyntaxError" in execute("def f(:").error
    assert "ZeroDivisionError" in execute("1 / 0").error


@isolated
@pytest.mark.parametrize(
    "program",
    [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "print('passed'); import os; os._exit(0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(-1, signal.SIGKILL); os._exit(0)",
        "import os; os.execv('/usr/bin/true', ['true'])",
        "import ctypes; ctypes.string_at(0)",
        "import os; os.close(1)",
        "import os; os.close(0); os.close(1); os.close(2); os._exit(0)",
        "import sys; sys.setrecursionlimit(10**5)\ndef f(): f()\nf()",
        "RESULT = object()",
    ],
)
def test_ending_early_is_no_success(program: str) -> None:
    done = execute(program)
    assert not done.finished
    assert done.error


@isolated
def test_loops_and_sleep_are_ended() -> None:
    started = time.monotonic()
    assert "processor time" in execute("while True: pass", Allowance(cpu_s=1)).error
    assert "more than 1 s" in execute("import time; time.sleep(60)", Allowance(wall_s=1)).error
    ignoring = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
    assert "more than 1 s" in execute(ignoring, Allowance(wall_s=1)).error
    assert time.monotonic() - started < 20


@isolated
def test_memory_is_bounded() -> None:
    done = execute("x = bytearray(4 << 30)")
    assert (done.finished, done.error) == (False, "MemoryError")
    assert not execute("x = []\nwhile True: x.append(bytearray(1 << 20))").finished


@isolated
@pytest.mark.parametrize(
    "program",
    [
        "import os\nwhile True: os.fork()",
        "import subprocess; subprocess.run(['/usr/bin/true'], check=True)",
        "import threading; threading.Thread(target=print).start()",
        "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: pass",
    ],
)
def test_no_process_is_started(program: str) -> None:
    assert not execute(program).finished


@isolated
def test_nothing_outlives_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"# {secrets.token_hex(8)}"
    monkeypatch.setattr(sandbox, "_HARNESS", f"{sandbox._HARNESS}{mark}")
    for _ in range(3):  # where the machine stands still for seconds, the program's time is over before it is seen
        with ThreadPoolExecutor() as pool:
            running = pool.submit(execute, "import time; time.sleep(60)", Allowance(wall_s=5))
            found = _soon(lambda: len(_processes(mark)) >= 2, within_s=5)
            done = running.result()
        if found:
            break
    assert found, done.error  # what finds them does find them
    assert not done.finished
    assert _soon(lambda: not _processes(mark))


def _processes(mark: str) -> list[str]:
    """The processes, of whoever, with `mark` in their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "cmdline").read_text():
                found.append(folder.name)
    return found


def _soon(true: Callable[[], bool], within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


@isolated
def test_files_can_be_neither_written_nor_seen(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("treasure")
    for place in (str(tmp_path), "/tmp", "/", "/usr", "/dev", os.path.dirname(os.__file__)):
        done = execute(f"open({place + '/made-by-a-test'!r}, 'w').write('x')")
        assert not done.finished, place
        assert not Path(place, "made-by-a-test").exists()
    assert "FileNotFoundError" in execute(f"open({str(secret)!r})").error
    assert "FileNotFoundError" in execute("open('/etc/passwd')").error
    assert not execute(f"import os; os.listdir({str(Path.home())!r})").finished
    assert not execute("import shutil; shutil.rmtree('/usr/bin')").finished


@isolated
def test_the_network_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not execute(f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)").finished
    done = execute("import socket; RESULT = [name for _, name in socket.if_nameindex()]")
    assert done.result == ["lo"]


@isolated
def test_the_environment_and_other_processes_are_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERIATIM_TREASURE", "treasure")
    done = execute("import os; RESULT = dict(os.environ)")
    assert "treasure" not in str(done.result)
    assert not execute(f"open('/proc/{os.getpid()}/environ').read()").finished
    assert not execute("open('/proc/self/environ').read()").finished
    assert not execute(f"import os; os.kill({os.getpid()}, 0)").finished


@isolated
def test_a_program_is_nobody_and_stays_so() -> None:
    done = execute("import os; RESULT = [os.getuid(), os.geteuid(), os.getgroups()]")
    assert 0 not in (done.result[0], done.result[1])
    assert 0 not in done.result[2]
    for call in ("os.setuid(0)", "os.chroot('/usr')", "os.mknod('/dev/x')", "os.nice(-5)"):
        assert not execute(f"import os; {call}").finished, call
    raised = "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (99, 99))"
    assert not execute(raised).finished
    mount = "import ctypes; libc = ctypes.CDLL(None); RESULT = libc.mount(b'none', b'/usr', b'tmpfs', 0, None)"
    assert execute(mount).result == -1


@isolated
def test_endless_output_fills_nothing() -> None:
    assert not execute("while True: print('x' * 1000)").finished
    assert not execute("import sys\nwhile True: sys.stderr.write('x' * 1000)").finished


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sandbox.require.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SeriatimError, match="install bubblewrap"):
        execute(f"open({str(tmp_path / 'made')!r}, 'w')")
    assert not (tmp_path / "made").exists()


def test_a_sandbox_that_does_not_isolate_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A `bwrap` that fails, as where user namespaces are forbidden."""
    sandbox.require.cache_clear()
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SeriatimError, match="No permissions to create new namespace"):
        execute("x = 1")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    sandbox.require.cache_clear()
