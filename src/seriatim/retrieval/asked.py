"""Which library a question about named documents is asked in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from seriatim.retrieval.library import Library, library_folder
from seriatim.retrieval.store import FILE


@contextmanager
def library_for(
    paths: Sequence[str | Path], library: str | Path | None = None, *, embedder: str | None = None
) -> Iterator[Library]:
    """The library in the folder `library`, where `paths` stay indexed for the next question.

    Standard input is asked about once: where it is among `paths`, the library is a temporary one, with the embedder of
    the other, that ends with the context. Raises `UsageError` and `LibraryError`.
    """
    if "-" not in map(str, paths):
        with Library(library, embedder=embedder) as kept:
            yield kept
        return
    if embedder is None and (library_folder(library) / FILE).exists():
        with Library(library) as kept:
            embedder = kept.status(verify=False).embedder
    with TemporaryDirectory(prefix="seriatim-") as folder, Library(folder, embedder=embedder) as passing:
        yield passing
