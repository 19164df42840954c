"""A library keeps documents in step with their files and finds passages in them."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seriatim.documents.document import Document
from seriatim.errors import LibraryError, UsageError
from seriatim.retrieval.asked import library_for
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import Store
from tests.retrieval.conftest import VOYAGE


def names(found: tuple[str, ...]) -> list[str]:
    return sorted(Path(name).name for name in found)


def test_what_is_added_is_found(library: Library, folder: Path) -> None:
    report = library.add([folder])
    assert names(report.added) == ["orchard.txt", "voyage.md"]
    context = library.search("What price did a barrel of oil fetch?", tokens=200)
    assert any("eleven crowns a barrel" in each.passage.text for each in context.passages)
    assert context.tokens == sum(each.passage.tokens for each in context.passages) <= 200


def test_passages_are_slices_of_their_document(library: Library, folder: Path) -> None:
    library.add([folder])
    for each in library.search("What happened to the mast?", tokens=500).passages:
        passage = each.passage
        assert library.document_text(passage.document)[passage.start : passage.end] == passage.text


def test_passages_stand_in_document_order(library: Library, folder: Path) -> None:
    library.add([folder / "voyage.md"])
    passages = library.search("What became of the mast of the Petrel?", tokens=400).passages
    assert len(passages) > 2
    assert all(a.passage.start < b.passage.start for a, b in pairwise(passages))
    by_relevance = library.search("What became of the mast of the Petrel?", tokens=400, order="relevance").passages
    assert [each.rank for each in by_relevance] == sorted(each.rank for each in passages)


def test_a_document_that_fits_comes_whole(library: Library, folder: Path) -> None:
    library.add([folder / "voyage.md"])
    context = library.search("Who kept the log?", tokens=5000)
    assert "".join(each.passage.text for each in context.passages) == VOYAGE
    assert sorted(each.rank for each in context.passages) == list(range(1, len(context.passages) + 1))


def test_a_search_can_be_limited_to_documents_and_passages(library: Library, folder: Path) -> None:
    library.add([folder])
    context = library.search("crowns", documents=["orchard.txt"], passages=1)
    assert [Path(each.passage.document).name for each in context.passages] == ["orchard.txt"]
    assert "two crowns for the swarm" in context.passages[0].passage.text


def test_unchanged_files_are_known_by_their_content(library: Library, folder: Path) -> None:
    library.add([folder])
    (folder / "voyage.md").touch()
    report = library.add([folder])
    assert names(report.unchanged) == ["orchard.txt", "voyage.md"]
    assert not report.added
    assert not report.changed


def test_a_changed_file_replaces_its_passages(library: Library, folder: Path) -> None:
    library.add([folder])
    (folder / "voyage.md").write_text("The Petrel never left Aldmouth at all.")
    report = library.add([folder])
    assert names(report.changed) == ["voyage.md"]
    context = library.search("Where did the Petrel go?", documents=["voyage.md"])
    assert [each.passage.text for each in context.passages] == ["The Petrel never left Aldmouth at all."]


def test_a_file_gone_from_its_folder_goes_from_the_library(library: Library, folder: Path) -> None:
    library.add([folder])
    (folder / "voyage.md").unlink()
    assert names(library.add([folder]).removed) == ["voyage.md"]
    assert names(tuple(info.name for info in library.documents())) == ["orchard.txt"]


def test_what_cannot_be_read_is_reported_and_the_rest_gets_in(library: Library, folder: Path) -> None:
    (folder / "empty.txt").touch()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    report = library.add([folder, folder / "missing.txt"])
    assert names(report.added) == ["orchard.txt", "voyage.md"]
    assert names(tuple(name for name, _ in report.failed)) == ["broken.pdf", "empty.txt", "missing.txt"]


def test_a_changed_file_that_cannot_be_read_keeps_its_passages(library: Library, folder: Path) -> None:
    library.add([folder])
    (folder / "voyage.md").write_bytes(b"")
    assert names(tuple(name for name, _ in library.add([folder]).failed)) == ["voyage.md"]
    assert "barrels of lamp oil" in library.search("barrels", documents=["voyage.md"]).passages[0].passage.text


def test_documents_are_removed_by_name(library: Library, folder: Path) -> None:
    library.add([folder])
    assert names(library.remove(["voyage.md"])) == ["voyage.md"]
    with pytest.raises(LibraryError, match=r"holds no document voyage\.md"):
        library.remove(["voyage.md"])


def test_one_path_or_name_stands_without_a_list(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert names(library.add("voyage.md").added) == ["voyage.md"]
    assert names(library.add(Path("orchard.txt")).added) == ["orchard.txt"]
    found = library.search("crowns", documents="orchard.txt").passages
    assert {Path(each.passage.document).name for each in found} == {"orchard.txt"}
    assert names(library.remove("voyage.md")) == ["voyage.md"]
    assert names(library.remove(Path("orchard.txt"))) == ["orchard.txt"]


@pytest.mark.parametrize("named", [3, [3], None, b"voyage.md"])
def test_what_names_no_document_is_wrong_use(library: Library, folder: Path, named: object) -> None:
    library.add(folder)
    for call in (library.add, library.remove):
        with pytest.raises(UsageError, match="named by a str or a Path"):
            call(named)  # type: ignore[arg-type]
    assert len(library.documents()) == 2


def test_an_unclear_name_removes_nothing(library: Library) -> None:
    library.add_document(Document("/a/notes.txt", "Some notes.", "1"))
    library.add_document(Document("/b/notes.txt", "Other notes.", "2"))
    with pytest.raises(LibraryError, match="fits several documents"):
        library.remove(["notes.txt"])
    assert len(library.documents()) == 2


def test_a_library_remembers_its_embedder(tmp_path: Path) -> None:
    Library(tmp_path / "kept", embedder="static").close()
    with Library(tmp_path / "kept") as again:
        assert again.status().embedder == "static"
    with pytest.raises(LibraryError, match="made with splitting sentences, not tokens"):
        Library(tmp_path / "kept", splitting="tokens")


def test_an_embedder_can_be_changed_until_it_has_kept_a_vector(tmp_path: Path, folder: Path) -> None:
    with Library(tmp_path / "kept", embedder="http://localhost:1/v1#typo") as library:
        library.add([folder])
    with Library(tmp_path / "kept", embedder="minilm") as library:
        assert library.status().embedder == "minilm"
    store = Store(tmp_path / "kept")
    vectors = [(store.documents()[0].id, 0, np.ones((1, 4), dtype=np.float32))]
    store.keep_dense("passage", vectors, "http://localhost:1/v1#typo")
    assert store.dense_count() == 0
    store.keep_dense("passage", vectors, "minilm")
    store.close()
    with pytest.raises(LibraryError, match="made with embedder minilm, not static"):
        Library(tmp_path / "kept", embedder="static")


def test_a_home_that_nobody_has_is_told() -> None:
    with pytest.raises(LibraryError, match="the library folder ~nobody-at-all/x cannot be found"):
        Library("~nobody-at-all/x")


@pytest.mark.parametrize("name", ["bge-small", "smollm2-135m", "missing.gguf"])
def test_a_mistyped_embedder_leaves_no_library(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"embedd"):
        Library(tmp_path / "new", embedder=name)
    assert not (tmp_path / "new").exists()


def test_a_path_that_cannot_be_expanded_is_reported_beside_the_rest(library: Library, folder: Path) -> None:
    report = library.add([folder, "~nobody-of-that-name/papers"])
    assert names(report.added) == ["orchard.txt", "voyage.md"]
    assert len(report.failed) == 1


def test_a_budget_below_every_passage_says_what_to_allow(library: Library, folder: Path) -> None:
    library.add([folder])
    with pytest.raises(UsageError, match="no passage fits 3 tokens; a passage holds up to 128"):
        library.search("Who kept the log?", tokens=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question": "  "}, "question is empty"),
        ({"question": " ?!… \u200b"}, "question is empty"),
        ({"question": 42}, "the question is a str, not 42"),
        ({"tokens": True}, "tokens must be a whole number, at least 1, or auto, not True"),
        ({"progress": 3}, "progress is a function or None, not 3"),
        ({"documents": []}, "no document was named"),
        ({"tokens": 0}, "tokens must be a whole number, at least 1, or auto, not 0"),
        ({"tokens": "many"}, "tokens must be a whole number, at least 1, or auto, not 'many'"),
        ({"passages": 0}, "passages must be a whole number, at least 1, not 0"),
        ({"passages": "2"}, "passages must be a whole number, at least 1, not '2'"),
        ({"order": "random"}, "one of document, relevance"),
        ({"effort": "lazy"}, "one of fast, balanced, thorough"),
    ],
)
def test_a_senseless_request_is_refused(
    library: Library, folder: Path, options: dict[str, object], message: str
) -> None:
    library.add([folder])
    with pytest.raises(UsageError, match=message):
        library.search(**{"question": "Who?", **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splitting": "words"}, "the splitting is one of sentences, tokens, not 'words'"),
        ({"embedder": 3}, "an embedder is named by a str or a Path, not by 3"),
        ({"embedder": Path("none.gguf")}, "there is no embedding model .*none.gguf"),
        ({"path": 3}, "a library's folder is named by a str or a Path, not by 3"),
    ],
)
def test_a_library_of_a_senseless_kind_is_not_made(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Library(**{"path": tmp_path / "new", **options})
    assert not (tmp_path / "new").exists()


def test_a_passing_library_is_set_as_the_kept_one(tmp_path: Path) -> None:
    Library(tmp_path / "kept", embedder="static", splitting="tokens").close()
    with library_for(["-"], tmp_path / "kept") as passing:
        assert passing.path != tmp_path / "kept"
        status = passing.status()
    assert (status.embedder, status.splitting) == ("static", "tokens")


def test_a_count_may_come_from_numpy(library: Library, folder: Path) -> None:
    library.add([folder])
    assert library.search("Who kept the log?", tokens=np.int64(300), passages=np.int64(1)).passages  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x", "a\0b"])
def test_a_name_that_no_file_can_have_is_no_document(library: Library, name: str) -> None:
    with pytest.raises(LibraryError, match="the library holds no document"):
        library.remove(name)


def test_a_folder_whose_last_file_is_gone_is_not_missing(library: Library, folder: Path) -> None:
    library.add(folder)
    for file in folder.iterdir():
        file.unlink()
    report = library.add([folder, "nowhere"])
    assert (len(report.removed), report.missing) == (2, ("nowhere",))


def test_each_failure_names_what_failed(library: Library) -> None:
    assert library.add(["n"]).failures == ["n: no such file or folder"]


def test_a_text_is_had_by_any_name_of_its_document(library: Library, folder: Path) -> None:
    library.add(folder)
    for name in ("voyage.md", folder / "voyage.md", str(folder / "voyage.md")):
        assert library.document_text(name) == VOYAGE
    with pytest.raises(LibraryError, match=r"holds no document nothing\.md; see"):
        library.document_text("nothing.md")


def test_a_closed_library_says_that_it_is(library: Library, folder: Path) -> None:
    library.add(folder)
    library.close()
    for call in (library.documents, lambda: library.search("Who?"), lambda: library.add(folder)):
        with pytest.raises(LibraryError, match="has been closed; open it again"):
            call()


def test_a_library_is_not_passed_between_threads(library: Library) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(LibraryError, match="open it once in each thread"):
        pool.submit(library.documents).result()


def test_a_document_that_is_removed_while_it_is_searched_is_left_out(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add([folder])
    (voyage,) = (info.name for info in library.documents() if info.name.endswith("voyage.md"))
    read = Store.passages_at

    def slowly(store: Store, places: Any) -> Any:
        if voyage in {info.name for info in library.documents()}:
            with Library(library.path) as other:
                other.remove([voyage])
        return read(store, places)

    monkeypatch.setattr(Store, "passages_at", slowly)
    found = library.search("What happened to the mast of the Petrel in the orchard?", tokens=300).passages
    assert {Path(each.passage.document).name for each in found} == {"orchard.txt"}


def test_an_empty_library_says_what_to_do(library: Library) -> None:
    with pytest.raises(LibraryError, match="add documents first"):
        library.search("Who?")


def test_a_question_of_stop_words_still_finds_passages(library: Library, folder: Path) -> None:
    library.add([folder])
    assert library.search("Who is he?", tokens=200).passages


@pytest.mark.parametrize("effort", ["fast", "balanced", "thorough"])
def test_a_question_about_something_else_gets_the_passages_nearest_to_it(library: Library, effort: Any) -> None:
    text = "The harbour master of Étretat is called Zoë Müller. She keeps 3 geese.\n" * 50
    library.add_document(Document("harbour.txt", text, "harbour"))
    found = library.search("What broke the pane of the lamp?", tokens=300, effort=effort)
    assert found.passages
    assert found.tokens <= 300
