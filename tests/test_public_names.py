"""`import seriatim` is quick, and gives the public names when they are asked for."""

import subprocess
import sys

import pytest

import seriatim


@pytest.mark.parametrize("name", seriatim.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(seriatim, name)
    assert name in dir(seriatim)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        seriatim.nonsense  # noqa: B018


def test_importing_is_light() -> None:
    code = "import sys, seriatim; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("numpy", "typer", "rich", "httpx", "onnxruntime", "sqlite3"):
        assert f"'{heavy}'" not in done.stdout
