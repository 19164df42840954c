import json
from pathlib import Path

import pytest

from tests.cli.terminal import seriatim


def test_add_says_what_became_of_each_file(papers: Path) -> None:
    first = seriatim("add", str(papers))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == f"added    {papers / 'orchard.txt'}\nadded    {papers / 'voyage.md'}\n"
    (papers / "voyage.md").write_text("The Petrel stayed at home.")
    (papers / "orchard.txt").unlink()
    (papers / "new.md").write_text("Something new.")
    second = seriatim("add", str(papers))
    assert second.stdout == (
        f"added    {papers / 'new.md'}\nchanged  {papers / 'voyage.md'}\nremoved  {papers / 'orchard.txt'}\n"
    )
    assert seriatim("add", str(papers)).stdout == "2 documents unchanged\n"


def test_a_guessed_encoding_is_told_once(papers: Path) -> None:
    cat = papers / "cat.txt"
    cat.write_bytes("吾輩は猫である。名前はまだ無い。".encode("shift_jis"))
    first = seriatim("add", str(cat))
    assert (first.returncode, first.stdout) == (0, f"added    {cat}\n")
    assert first.stderr == (
        "seriatim: cat.txt is not UTF-8; it was read as cp932, a guess: "
        "where letters look wrong, save the file as UTF-8\n"
    )
    found = seriatim("search", "猫", "--in", str(cat), "--effort", "fast")
    assert (found.stderr, "吾輩は猫である。" in found.stdout) == ("", True)


def test_add_as_json(papers: Path) -> None:
    (papers / "empty.md").touch()
    done = seriatim("add", str(papers), "--json")
    assert done.returncode == 0
    assert done.stderr == "seriatim: empty.md is empty; there is nothing to read\n"
    assert json.loads(done.stdout) == {
        "added": [str(papers / "orchard.txt"), str(papers / "voyage.md")],
        "changed": [],
        "unchanged": [],
        "removed": [],
        "failed": [{"document": str(papers / "empty.md"), "reason": "empty.md is empty; there is nothing to read"}],
        "missing": [],
        "documents": [str(papers / "orchard.txt"), str(papers / "voyage.md")],
    }


@pytest.mark.parametrize("missing", ["empty.md", "nowhere.md", "*.pdf", "hollow"])
def test_add_fails_where_something_named_gives_no_document(papers: Path, missing: str) -> None:
    (papers / "empty.md").touch()
    (papers / "hollow").mkdir()
    done = seriatim("add", str(papers / "voyage.md"), missing, folder=papers)
    assert (done.returncode, done.stdout) == (1, f"added    {papers / 'voyage.md'}\n")
    assert done.stderr.startswith(f"seriatim: {missing}")
    assert done.stderr.count("\n") == 1
    again = seriatim("add", str(papers / "voyage.md"), missing, "--json", folder=papers)
    assert again.returncode == 1
    assert json.loads(again.stdout)["missing"] == [missing]


def test_add_does_not_fail_for_a_file_in_a_folder(papers: Path) -> None:
    (papers / "empty.md").touch()
    for path in (papers, f"{papers}/*.md"):
        done = seriatim("add", str(path))
        assert (done.returncode, done.stderr) == (0, "seriatim: empty.md is empty; there is nothing to read\n")


def test_add_fails_where_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.md").touch()
    done = seriatim("add", str(tmp_path / "empty.md"), "/nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 2
    assert all(line.startswith("seriatim: ") for line in done.stderr.splitlines())


def test_list_and_status(kept: Path, papers: Path) -> None:
    listed = seriatim("library", "list").stdout
    assert listed.startswith(f"{papers / 'orchard.txt'}\n  ")
    assert f"\n{papers / 'voyage.md'}\n  " in listed
    documents = json.loads(seriatim("library", "list", "--json").stdout)["documents"]
    assert [document["name"] for document in documents] == [str(papers / "orchard.txt"), str(papers / "voyage.md")]
    assert documents[0]["characters"] == len((papers / "orchard.txt").read_text())
    status = json.loads(seriatim("library", "status", "--json").stdout)
    assert status["documents"] == 2
    assert status["path"] == str(kept)
    assert seriatim("library", "status").stdout.startswith(f"library    {kept}\ndocuments  2\n")


def test_an_empty_library_says_how_to_fill_it(own_home: Path) -> None:
    done = seriatim("library", "list")
    assert done.stdout == f"The library {own_home / 'library'} is empty; keep documents with: seriatim add PATH\n"
    assert json.loads(seriatim("library", "list", "--json").stdout) == {"documents": []}


@pytest.mark.parametrize(
    "command",
    [("library", "list"), ("library", "status"), ("library", "remove", "x.md"), ("search", "Who?"), ("ask", "Who?")],
)
def test_reading_a_mistyped_library_makes_none(own_home: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = seriatim(*command, "--library", str(tmp_path / "mistyped"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"seriatim: there is no library in {tmp_path / 'mistyped'}; ")
    assert not (tmp_path / "mistyped").exists()


def test_remove_by_the_end_of_the_path(kept: Path, papers: Path) -> None:
    done = seriatim("library", "remove", "voyage.md")
    assert done.stdout == f"removed {papers / 'voyage.md'}\n"
    assert (papers / "voyage.md").exists()
    assert json.loads(seriatim("library", "remove", "orchard.txt", "--json").stdout) == {
        "removed": [str(papers / "orchard.txt")]
    }


def test_remove_of_what_is_not_there_changes_nothing(kept: Path) -> None:
    done = seriatim("library", "remove", "voyage.md", "nothing.md")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "seriatim: the library holds no document nothing.md; see seriatim library list\n"
    assert len(json.loads(seriatim("library", "list", "--json").stdout)["documents"]) == 2


@pytest.mark.parametrize("command", [("add",), ("library", "remove")])
def test_something_has_to_be_named(command: tuple[str, ...]) -> None:
    done = seriatim(*command)
    assert done.returncode == 2
    assert done.stderr.startswith("seriatim: Missing argument")


def test_a_damaged_library_is_reported_in_one_line(kept: Path) -> None:
    (kept / "library.sqlite").write_bytes(b"not a database at all" * 1000)
    done = seriatim("library", "status")
    assert done.returncode == 1
    assert done.stderr.startswith("seriatim: ")
    assert done.stderr.count("\n") == 1
