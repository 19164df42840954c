"""A library file that is foreign, damaged or not to be written is reported, and never touched."""

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from seriatim.documents.document import Document
from seriatim.errors import LibraryError
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import FILE, Store


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(LibraryError, match="is not a Seriatim library"):
        Library(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_file_of_junk_is_reported(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(os.urandom(8192))
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(LibraryError, match="is damaged"):
        Library(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_library_of_another_format_is_reported(tmp_path: Path) -> None:
    Library(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LibraryError, match="has format 99"):
        Library(tmp_path)


def test_a_damaged_page_is_found(tmp_path: Path, folder: Path) -> None:
    with Library(tmp_path / "kept", embedder="static") as library:
        library.add([folder])
        library.status(verify=True)
    file = tmp_path / "kept" / FILE
    content = file.read_bytes()
    reported = 0
    for page in range(1, len(content) // 4096):
        damaged = bytearray(content)
        damaged[page * 4096 : page * 4096 + 4096] = bytes(
            byte ^ 0x5A for byte in content[page * 4096 : page * 4096 + 4096]
        )
        file.write_bytes(damaged)
        try:
            with Library(tmp_path / "kept") as library:
                library.status(verify=True)
        except LibraryError as error:
            assert "is damaged" in str(error)  # noqa: PT017 - not every page makes the same call fail
            reported += 1
        assert file.read_bytes() == bytes(damaged)
    assert reported == len(content) // 4096 - 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE postings SET counts = x'07' WHERE term = (SELECT min(term) FROM postings)",
        "UPDATE passages SET start = start + 1 WHERE number = 0",
        "UPDATE documents SET page_starts = '[0]'",
        "UPDATE dense SET vectors = x'0000'",
        "UPDATE static SET vectors = zeroblob(length(vectors))",
    ],
)
def test_whatever_is_changed_is_found(tmp_path: Path, folder: Path, change: str) -> None:
    with Library(tmp_path / "kept", embedder="static") as library:
        library.add([folder])
        library.status(verify=True)
    store = Store(tmp_path / "kept")
    store.keep_dense("pieces", [(store.documents()[0].id, 0, np.ones((2, 4), dtype=np.float32))], "static")
    store.verify()
    store.close()
    with sqlite3.connect(tmp_path / "kept" / FILE) as database:
        database.execute(change)
    database.close()
    with Library(tmp_path / "kept") as library, pytest.raises(LibraryError, match=r"match (its|their) checksum"):
        library.status(verify=True)


def test_a_truncated_file_is_reported(tmp_path: Path, folder: Path) -> None:
    with Library(tmp_path / "kept", embedder="static") as library:
        library.add([folder])
    file = tmp_path / "kept" / FILE
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(LibraryError, match="is damaged"), Library(tmp_path / "kept") as library:
        library.status(verify=True)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="cannot be made"):
        Library(tmp_path / "file" / "library")


def test_a_document_replaced_meanwhile_is_no_damage(tmp_path: Path) -> None:
    with Library(tmp_path / "library", embedder="static") as library:
        library.add_document(Document("log.txt", "First words. " * 200, "1"))
        store = library._store
        (held,) = store.documents()
        library.add_document(Document("log.txt", "Other words.", "2"))
        with pytest.raises(LibraryError, match=r"log\.txt was changed or removed meanwhile"):
            store.passages(held, range(held.passages))


def test_a_library_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    making = sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)
    making.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.3, making.execute, ["ROLLBACK"])
    done.start()
    with Library(tmp_path) as library:
        assert library.documents() == []
    done.join()
    making.close()


def test_many_may_make_the_same_library_at_once(tmp_path: Path) -> None:
    for attempt in range(20):
        start = threading.Barrier(4)

        def open_one(folder: Path = tmp_path / str(attempt), start: threading.Barrier = start) -> None:
            start.wait()
            Library(folder).close()

        with ThreadPoolExecutor(4) as threads:
            for opened in [threads.submit(open_one) for _ in range(4)]:
                opened.result()


def test_a_search_lists_no_documents_again_and_asks_for_its_passages_at_once(tmp_path: Path) -> None:
    with Library(tmp_path, embedder="static") as library:
        for number in range(8):
            library.add_document(Document(f"{number}.txt", f"The gauge {number} was read at seven. " * 60, f"{number}"))
        library.search("When was the gauge read?", effort="fast")
        statements: list[str] = []
        library._store._db.set_trace_callback(statements.append)
        found = library.search("When was the gauge read?", effort="fast")
        assert len({each.passage.document for each in found.passages}) > 1
        assert not [each for each in statements if "FROM documents" in each]
        assert len([each for each in statements if "text FROM" in each]) == 1


def test_documents_that_another_connection_writes_are_seen_at_once(tmp_path: Path) -> None:
    def names(library: Library) -> list[str]:
        return [info.name for info in library.documents()]

    with Library(tmp_path, embedder="static") as one, Library(tmp_path) as other:
        one.add_document(Document("a.txt", "The gauge was read at seven.", "a"))
        assert names(one) == names(other) == ["a.txt"]
        other.add_document(Document("b.txt", "The sluice was shut at eight.", "b"))
        assert names(one) == names(other) == ["a.txt", "b.txt"]
        one.remove("a.txt")
        assert names(one) == names(other) == ["b.txt"]
