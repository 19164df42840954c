"""What a library says of itself and of what was done to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the sources given to `Library.add`.

    `documents` names all that those sources stand for and that are now as in the library; `failed` pairs a name with
    the reason, in one line that names it too. `missing` holds the paths, as they were given, that stand for none of the
    documents and for none that was removed.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]

    @property
    def documents(self) -> tuple[str, ...]:
        return (*self.added, *self.changed, *self.unchanged)

    @property
    def failures(self) -> list[str]:
        """What failed, each in one line that names it."""
        return [reason for _, reason in self.failed]


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document of the library."""

    name: str
    sha256: str
    added_at: str
    characters: int
    tokens: int
    pages: int | None
    passages: int


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """The library as a whole. `embedded` counts the passages whose dense vector is kept."""

    path: str
    documents: int
    passages: int
    embedded: int
    tokens: int
    bytes: int
    splitting: str
    static_embedder: str
    embedder: str | None
