import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from seriatim import cli
from tests.cli.terminal import SERIATIM, seriatim

HEAVY = {"numpy", "onnxruntime", "httpx", "torch", "tokenizers", "xllamacpp", "rich", "sqlite3", "wordllama", "lxml"}


def test_help_names_the_commands() -> None:
    done = seriatim("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("ask", "search", "add", "library", "model", "demo"):
        assert f"\n  {command} " in done.stdout
    assert seriatim().stdout == done.stdout
    assert seriatim("ask", "-h").returncode == 0


def test_a_group_without_a_command_gives_its_help() -> None:
    done = seriatim("library")
    assert (done.returncode, done.stderr) == (0, "")
    assert "remove" in done.stdout


def test_version() -> None:
    done = seriatim("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seriatim ")


def test_an_unknown_command_is_one_line_with_a_suggestion() -> None:
    done = seriatim("serach", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("seriatim: No such command 'serach'")
    assert done.stderr.count("\n") == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['seriatim', '--help']; import seriatim.cli; seriatim.cli.main(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not loaded & HEAVY


def test_help_is_quick() -> None:
    bare = min(_seconds([sys.executable, "-c", "pass"]) for _ in range(3))
    assert min(_seconds([*SERIATIM, "--help"]) for _ in range(3)) - bare < 0.3


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def test_a_reader_that_hangs_up_is_no_error(papers: Path) -> None:
    command = [*SERIATIM, "search", "oil", "--in", str(papers), "--effort", "fast", "--tokens", "9999"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 1


FAIL = """
import sys, seriatim.cli, seriatim.retrieval.library
def broken(*_arguments, **_options): raise ZeroDivisionError("by nothing")
seriatim.retrieval.library.Library = broken
sys.argv = ["seriatim", "library", "list"]
sys.exit(seriatim.cli.main())
"""


def test_the_unexpected_is_an_apology_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run([sys.executable, "-c", FAIL], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "seriatim: sorry, this should not happen: ZeroDivisionError: by nothing "
        "(run again with SERIATIM_DEBUG=1 for the traceback)\n"
    )
    monkeypatch.setenv("SERIATIM_DEBUG", "1")
    done = subprocess.run([sys.executable, "-c", FAIL], capture_output=True, text=True)
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ZeroDivisionError: by nothing\n")


def test_a_locale_without_the_characters_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (tmp_path / "lärm.txt").write_text("Der Lärm war groß – und zwar überall.")
    done = seriatim("search", "Lärm?", "--in", str(tmp_path), "--effort", "fast")
    assert done.returncode == 0
    assert "Der L?rm war gro? ? und zwar ?berall." in done.stdout


@pytest.mark.parametrize(("command", "told"), [("train", "stopped\n"), ("add", "stopped; what came into the library")])
def test_who_stops_training_is_told_of_no_library(
    command: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", stopped)
    monkeypatch.setattr(sys, "argv", ["seriatim", command, "data"])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which main changes
    assert cli.main() == cli.INTERRUPTED
    assert capsys.readouterr().err.startswith(f"\nseriatim: {told}")
