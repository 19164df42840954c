"""Small documents to search, and libraries to put them in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seriatim.retrieval.library import Library

VOYAGE = "\n\n".join(
    [
        "# The voyage of the Petrel",
        "The Petrel left Aldmouth on the third of March with forty barrels of lamp oil and a crew of nine. " * 4,
        "Captain Ysolde Marr kept the log herself, for the mate could not spell. " * 5,
        "Off Cape Varn the foremast split, and the carpenter bound it with a chain of nineteen links. " * 4,
        "The ship's cat, called Bishop, was washed overboard and swam back by the rudder chains. " * 5,
        "They sold the oil at Sunder for eleven crowns a barrel, which was a poor price that year. " * 4,
        "The Petrel came home on the last day of June, and the mast was burnt for firewood. " * 5,
    ]
)
ORCHARD = "\n\n".join(
    [
        "# Notes on the orchard",
        "The pear trees on the north wall were planted by Aunt Ottilie in the year of the flood. " * 5,
        "Seven of the apple trees carry canker, and the worst, a russet, was cut down in October. " * 5,
        "The bees came from a schoolmaster at Sunder, who asked two crowns for the swarm. " * 5,
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two documents."""
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "voyage.md").write_text(VOYAGE, encoding="utf-8")
    (documents / "orchard.txt").write_text(ORCHARD, encoding="utf-8")
    return documents


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library without a second stage."""
    with Library(tmp_path / "library", embedder="static") as opened:
        yield opened
