"""Which library a question about named documents is asked in."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from seriatim.retrieval.library import Library, library_folder
from seriatim.retrieval.store import FILE, Store


@contextmanager
def library_for(
    paths: Sequence[str | Path], library: str | Path | None = None, *, embedder: str | None = None
) -> Iterator[Library]:
    """The library in the folder `library`, where `paths` stay indexed for the next question.

    Standard input is asked about once: where it is among `paths`, the library is a temporary one, with the embedder
    and the splitting of the other, that ends with the context. Raises `UsageError` and `LibraryError`.
    """
    if "-" not in map(str, paths):
        with Library(library, embedder=embedder) as kept:
            yield kept
        return
    from tempfile import TemporaryDirectory

    splitting: Any = None  # the store holds what a library took for one
    folder = library_folder(library)
    if os.path.exists(folder / FILE):  # pathlib raises where the folder may not be entered
        with closing(Store(folder)) as kept:
            embedder, splitting = embedder or kept.setting("embedder"), kept.setting("splitting")
    with (
        TemporaryDirectory(prefix="seriatim-") as passing,
        Library(passing, embedder=embedder, splitting=splitting) as opened,
    ):
        yield opened
