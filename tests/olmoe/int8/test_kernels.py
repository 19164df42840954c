import subprocess
import sys

import pytest

from seriatim.olmoe.int8.kernels import built, compiler, kernels

SCRIPT = """
from seriatim.olmoe.int8.kernels import kernels
print(kernels() is not None)
"""


def run(environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_without_a_compiler_there_are_no_kernels(tmp_path):
    assert run({"PATH": str(tmp_path), "SERIATIM_HOME": str(tmp_path / "home")}) == "False"
    assert not (tmp_path / "home").exists()


def test_a_compiler_that_fails_leaves_nothing(tmp_path):
    assert run({"PATH": "/usr/bin:/bin", "CXX": "/bin/false", "SERIATIM_HOME": str(tmp_path)}) == "False"
    assert not list((tmp_path / "kernels").iterdir())


def test_the_library_is_built_once(tmp_path, monkeypatch):
    if kernels() is None:
        pytest.skip("no compiler, or no AVX2")
    monkeypatch.setenv("SERIATIM_HOME", str(tmp_path))
    first = built(compiler())
    made = first.stat().st_mtime_ns
    assert built(compiler()) == first
    assert first.stat().st_mtime_ns == made
    assert list(first.parent.iterdir()) == [first]
