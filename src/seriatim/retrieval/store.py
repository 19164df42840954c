"""The library on disk: one SQLite file with documents, passages, posting lists and vectors.

Every change of a document is one transaction, so a reader, or a process that died, sees it whole or not at all.
Write-ahead logging lets others read meanwhile.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seriatim.documents.document import Document, Passage, page_at
from seriatim.errors import LibraryError
from seriatim.retrieval.connection import RESTORE, connect, explained, write_ahead
from seriatim.retrieval.lexical import Postings

FILE = "library.sqlite"
FORMAT = 4
_AT_ONCE = 500  # rows asked for by one statement
_APPLICATION_ID = 0x53455249  # "SERI"

Level = Literal["passage", "pieces"]

_SCHEMA = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice, so an id stands for one version of one document
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    added_at TEXT NOT NULL,
    characters INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    passages INTEGER NOT NULL,
    page_starts TEXT NOT NULL,
    text_checksum INTEGER NOT NULL,  -- of the pages, and of the passages with their offsets
    postings_checksum INTEGER NOT NULL  -- of the posting lists, by term
);
CREATE TABLE passages (
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    start INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (document, number)
) WITHOUT ROWID;
CREATE TABLE static (
    document INTEGER PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE,
    vectors BLOB NOT NULL,  -- float16 [passages, dimension]
    lengths BLOB NOT NULL,  -- uint16 [passages], in terms
    checksum INTEGER NOT NULL
);
CREATE TABLE postings (
    term TEXT NOT NULL,
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    passages BLOB NOT NULL,  -- uint32, ascending
    counts BLOB NOT NULL,  -- uint8
    PRIMARY KEY (term, document)
) WITHOUT ROWID;
CREATE INDEX postings_document ON postings (document);
CREATE TABLE dense (
    level TEXT NOT NULL,  -- "passage": one vector; "pieces": one a piece
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    texts INTEGER NOT NULL,
    vectors BLOB NOT NULL,  -- float16 [texts, dimension]
    checksum INTEGER NOT NULL,
    PRIMARY KEY (document, level, number)
) WITHOUT ROWID;
"""


class Changed(LibraryError):
    """What was asked is no longer as it was: another thread or process replaced or removed it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as the library holds it."""

    id: int
    name: str
    sha256: str
    added_at: str
    characters: int
    tokens: int
    passages: int
    page_starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Indexed:
    """All that is written of one document, made before the library is locked."""

    document: Document
    passages: tuple[Passage, ...]
    vectors: NDArray[np.float32]
    postings: Sequence[Postings]
    lengths: NDArray[np.uint16]


class Store:
    """An open library file. Use it from the thread that opened it."""

    def __init__(self, folder: Path) -> None:
        """Open the library in `folder`, making it where there is none.

        Raises `LibraryError` where it cannot be opened, made or understood.
        """
        self.path = folder / FILE
        self._listed: tuple[int, list[Stored]] | None = None  # the documents, read again when anything was written
        with explained(self.path):
            self._db, self.writable = connect(self.path)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        self._db.close()

    # Settings

    def setting(self, key: str) -> str | None:
        with explained(self.path):
            row = self._db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def settle(self, key: str, value: str) -> str:
        """Set `key` unless it is set already; returns the value that holds."""
        if (held := self.setting(key)) is not None:
            return held
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (key, value))
        return self.setting(key) or value

    def change_embedder(self, name: str) -> None:
        """Settle on another dense embedder, unless vectors of the present one are kept."""
        with self._writing():
            self._db.execute(
                "UPDATE settings SET value = ? WHERE key = 'embedder' AND NOT EXISTS (SELECT 1 FROM dense)", (name,)
            )

    # Documents

    def documents(self) -> list[Stored]:
        """Every document, in the order of their ids."""
        with explained(self.path):
            version = self._db.execute("PRAGMA data_version").fetchone()[0]  # changes when another connection writes
            if self._listed is None or self._listed[0] != version:
                rows = self._db.execute(
                    "SELECT id, name, sha256, added_at, characters, tokens, passages, page_starts "
                    "FROM documents ORDER BY id"
                ).fetchall()
                self._listed = (version, [_stored(*row) for row in rows])
        return list(self._listed[1])

    def find(self, name: str) -> Stored | None:
        return next((stored for stored in self.documents() if stored.name == name), None)

    def put(self, indexed: Indexed) -> None:
        """Write a document; one of the same name is replaced in the same transaction."""
        document, passages = indexed.document, indexed.passages
        vectors = indexed.vectors.astype(np.float16).tobytes()
        lengths = indexed.lengths.tobytes()
        page_starts = json.dumps(document.page_starts)
        texts = [(passage.start, passage.tokens, passage.text) for passage in passages]
        postings = sorted((each.term, each.passages.tobytes(), each.counts.tobytes()) for each in indexed.postings)
        with self._writing():
            self._db.execute("DELETE FROM documents WHERE name = ?", (document.name,))
            key = self._db.execute(
                "INSERT INTO documents (name, sha256, added_at, characters, tokens, passages, page_starts, "
                "text_checksum, postings_checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    document.name,
                    document.sha256,
                    datetime.now(UTC).isoformat(timespec="seconds"),
                    len(document.text),
                    sum(passage.tokens for passage in passages),
                    len(passages),
                    page_starts,
                    _text_checksum(page_starts, texts),
                    _postings_checksum(postings),
                ),
            ).lastrowid
            self._db.executemany(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?)",
                ((key, each.index, each.start, each.tokens, each.text) for each in passages),
            )
            self._db.execute(
                "INSERT INTO static VALUES (?, ?, ?, ?)",
                (key, vectors, lengths, zlib.crc32(lengths, zlib.crc32(vectors))),
            )
            self._db.executemany(
                "INSERT INTO postings VALUES (?, ?, ?, ?)",
                ((term, key, numbers, counts) for term, numbers, counts in postings),
            )

    def remove(self, names: Iterable[str]) -> None:
        with self._writing():
            self._db.executemany("DELETE FROM documents WHERE name = ?", ((name,) for name in names))

    def text(self, stored: Stored) -> str:
        """The whole text of a document: its passages, joined."""
        with explained(self.path):
            rows = self._db.execute("SELECT text FROM passages WHERE document = ? ORDER BY number", (stored.id,))
            return "".join(text for (text,) in rows)

    def passages(self, stored: Stored, numbers: Sequence[int]) -> list[Passage]:
        """Some of a document's passages, by index, in the order asked for."""
        return self.passages_at([(stored, number) for number in numbers])

    def passages_at(self, places: Sequence[tuple[Stored, int]]) -> list[Passage]:
        """Passages by document and index, in the order asked for."""
        found: dict[tuple[int, int], tuple[int, int, str]] = {}
        with explained(self.path):
            for first in range(0, len(places), _AT_ONCE):
                asked = [(stored.id, int(number)) for stored, number in places[first : first + _AT_ONCE]]
                rows = self._db.execute(
                    f"WITH asked(document, number) AS (VALUES {','.join(['(?, ?)'] * len(asked))}) "  # noqa: S608
                    "SELECT document, number, start, tokens, text "
                    "FROM asked CROSS JOIN passages USING (document, number)",
                    [value for place in asked for value in place],
                )
                found.update({(document, number): rest for document, number, *rest in rows})
        return [self._passage(stored, number, found.get((stored.id, number))) for stored, number in places]

    # What the first stage reads

    def static(self, documents: Sequence[Stored], dimension: int) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """The static vectors [rows, dimension] and lengths [rows] of all passages of `documents`, in their order, and a
        row of zeros after each document."""
        rows = sum(stored.passages + 1 for stored in documents)
        vectors = np.empty((rows, dimension), dtype=np.float32)
        lengths = np.zeros(rows, dtype=np.uint16)
        first = 0
        with explained(self.path):
            for stored in documents:
                row = self._db.execute(
                    "SELECT vectors, lengths, checksum FROM static WHERE document = ?", (stored.id,)
                ).fetchone()
                if row is None or zlib.crc32(row[1], zlib.crc32(row[0])) != row[2]:
                    raise self._lost(stored, f"the vectors of {stored.name} do not match their checksum")
                last = first + stored.passages
                vectors[first:last] = np.frombuffer(row[0], dtype=np.float16).reshape(-1, dimension)
                lengths[first:last] = np.frombuffer(row[1], dtype=np.uint16)
                vectors[last] = 0
                first = last + 1
        return vectors, lengths

    def postings(self, term: str) -> list[tuple[int, bytes, bytes]]:
        """Where `term` stands: document id, passage indices (uint32), counts (uint8); by ascending document id."""
        with explained(self.path):
            return self._db.execute(
                "SELECT document, passages, counts FROM postings WHERE term = ? ORDER BY document", (term,)
            ).fetchall()

    # What the second stage reads and keeps

    def dense(self, level: Level, document: int, numbers: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """The dense vectors kept of some of a document's passages, each [texts, dimension]."""
        found = {}
        with explained(self.path):
            for chunk in _chunks(numbers):
                rows = self._db.execute(
                    _with_marks(
                        "SELECT number, texts, vectors FROM dense WHERE document = ? AND level = ? AND number IN ({})",
                        chunk,
                    ),
                    (document, level, *chunk),
                )
                found.update(
                    {
                        number: np.frombuffer(blob, dtype=np.float16).astype(np.float32).reshape(texts, -1)
                        for number, texts, blob in rows
                    }
                )
        return found

    def keep_dense(self, level: Level, vectors: Iterable[tuple[int, int, NDArray[np.float32]]], embedder: str) -> None:
        """Keep dense vectors, given as (document id, passage index, [texts, dimension]); those of removed documents,
        or of another embedder than the library's, are dropped."""
        rows = [
            (level, document, number, len(each), blob, zlib.crc32(blob), document, embedder)
            for document, number, each in vectors
            for blob in [each.astype(np.float16).tobytes()]
        ]
        with self._writing():
            self._db.executemany(
                "INSERT OR IGNORE INTO dense SELECT ?, ?, ?, ?, ?, ? "
                "WHERE EXISTS (SELECT 1 FROM documents WHERE id = ?) "
                "AND EXISTS (SELECT 1 FROM settings WHERE key = 'embedder' AND value = ?)",
                rows,
            )

    def dense_count(self) -> int:
        """How many passages have a dense vector."""
        with explained(self.path):
            return int(self._db.execute("SELECT count(*) FROM dense WHERE level = 'passage'").fetchone()[0])

    # The file itself

    def verify(self) -> None:
        """Read everything once. Raises `LibraryError` where the file is damaged."""
        with explained(self.path):
            answer = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if answer != "ok":
            raise self._damaged(str(answer).replace("\n", " "))
        with explained(self.path):
            rows = self._db.execute("SELECT id, page_starts, text_checksum, postings_checksum FROM documents")
            checksums = {key: (page_starts, sums) for key, page_starts, *sums in rows}
        for stored in self.documents():
            self.static([stored], dimension=self._static_dimension())
            with explained(self.path):
                texts, postings, dense = (
                    self._db.execute(f"SELECT {columns} WHERE document = ? ORDER BY 1", (stored.id,)).fetchall()
                    for columns in (
                        "number, start, tokens, text FROM passages",
                        "term, passages, counts FROM postings",
                        "number, vectors, checksum FROM dense",
                    )
                )
            page_starts, sums = checksums.get(stored.id, ("", []))
            found = [_text_checksum(page_starts, (row[1:] for row in texts)), _postings_checksum(postings)]
            if found != sums or any(zlib.crc32(vectors) != checksum for _, vectors, checksum in dense):
                raise self._lost(stored, f"something of {stored.name} does not match its checksum")

    def _static_dimension(self) -> int:
        with explained(self.path):
            row = self._db.execute(
                "SELECT length(vectors) / (2 * passages) FROM static JOIN documents ON id = document WHERE passages > 0"
            ).fetchone()
        return int(row[0]) if row else 0

    def _prepare(self) -> None:
        self._db.execute("BEGIN")  # one snapshot: another process may be making the library
        application, version, objects = (
            self._db.execute(query).fetchone()[0]
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        self._db.execute("COMMIT")
        is_new = application == 0 and objects == 0
        if not is_new and application != _APPLICATION_ID:
            raise LibraryError(f"{self.path} is not a Seriatim library; choose another folder with --library")
        if not is_new and version != FORMAT:
            remedy = "use a newer Seriatim" if version > FORMAT else "move it away and add the documents again"
            raise LibraryError(f"{self.path} has format {version}, this Seriatim reads format {FORMAT}; {remedy}")
        if self.writable:
            write_ahead(self._db)
            self._db.execute("PRAGMA synchronous = FULL")
            if is_new:
                self._create()

    def _create(self) -> None:
        with self._writing():
            # Another process may have made it while this one waited for the lock.
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if not self.writable:
            raise LibraryError(
                f"the library {self.path.parent} is read-only; make it writable, or use --library elsewhere"
            )
        with explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._listed = None

    def _passage(self, stored: Stored, number: int, found: Sequence[Any] | None) -> Passage:
        if found is None:
            raise self._lost(stored, f"passages of {stored.name} are missing")
        start, tokens, text = found
        return Passage(
            stored.name, number, start, start + len(text), page_at(stored.page_starts, start), text, tokens
        )  # fmt: skip

    def _lost(self, stored: Stored, what: str) -> LibraryError:
        """Why something of a document is not as it was: another thread or process replaced it, or it is damaged."""
        with explained(self.path):
            row = self._db.execute("SELECT sha256 FROM documents WHERE id = ?", (stored.id,)).fetchone()
        if row != (stored.sha256,):
            return Changed(f"{PurePath(stored.name).name} was changed or removed meanwhile; do the same again")
        return self._damaged(what)

    def _damaged(self, what: str) -> LibraryError:
        return LibraryError(f"{self.path} is damaged ({what}); {RESTORE}")


def _text_checksum(page_starts: str, passages: Iterable[tuple[int, int, str]]) -> int:
    found = zlib.crc32(page_starts.encode())
    for start, tokens, text in passages:
        found = zlib.crc32(f"{start} {tokens} {text}".encode(), found)
    return found


def _postings_checksum(postings: Iterable[tuple[str, bytes, bytes]]) -> int:
    found = 0
    for term, passages, counts in postings:
        found = zlib.crc32(counts, zlib.crc32(passages, zlib.crc32(term.encode(), found)))
    return found


def _stored(
    key: int, name: str, sha256: str, added_at: str, characters: int, tokens: int, passages: int, page_starts: str
) -> Stored:
    return Stored(key, name, sha256, added_at, characters, tokens, passages, tuple(json.loads(page_starts)))


def _chunks(numbers: Sequence[int], size: int = _AT_ONCE) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), size):
        yield [int(number) for number in numbers[first : first + size]]


def _with_marks(statement: str, chunk: Sequence[int]) -> str:
    """`statement` with a question mark for each of `chunk`: the values themselves are always bound."""
    return statement.format(",".join("?" * len(chunk)))
