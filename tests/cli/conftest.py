"""Documents and a library for the commands, without a second stage that would have to be fetched."""

from pathlib import Path

import pytest

from seriatim.retrieval.library import Library
from tests.retrieval.conftest import ORCHARD, VOYAGE


@pytest.fixture(autouse=True)
def no_word_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command says is the same on a machine without a C++ compiler, where int8 would say that it is slow."""
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:int8 runs without its own kernels")


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder with two documents."""
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "voyage.md").write_text(VOYAGE, encoding="utf-8")
    (folder / "orchard.txt").write_text(ORCHARD, encoding="utf-8")
    return folder


@pytest.fixture
def kept(own_home: Path, papers: Path) -> Path:
    """The default library, with both documents in it."""
    with Library(own_home / "library", embedder="static") as library:
        library.add([papers])
    return own_home / "library"
