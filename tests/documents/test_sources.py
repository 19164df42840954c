import io
import os
import sys
from pathlib import Path

import pytest

from seriatim.documents import sources
from seriatim.documents.sources import find_sources, read_source
from seriatim.errors import DocumentError
from tests.documents import making


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.md", "deep/c.html", "deep/er/d.pdf", ".hidden.txt", ".git/e.txt", "photo.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"words")
    return tmp_path


def found(*paths: str | Path) -> list[str]:
    names, problems = find_sources(paths)
    assert problems == []
    return [str(name).removeprefix(f"{Path.cwd().resolve()}/") for name in names]


def refused(*paths: str | Path) -> list[tuple[str, str]]:
    names, problems = find_sources(paths)
    assert names == []
    return problems


def test_a_folder_gives_its_documents_in_order_without_hidden_ones(folder: Path) -> None:
    assert found(folder) == ["a.md", "b.txt", "deep/c.html", "deep/er/d.pdf"]


def test_each_source_comes_once_resolved_in_the_order_asked(folder: Path) -> None:
    (folder / "link.txt").symlink_to("b.txt")
    assert found("b.txt", "-", folder / "b.txt", "link.txt", "-", "deep/../a.md") == ["b.txt", "-", "a.md"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["b.txt"]),
        ("**/*.html", ["deep/c.html"]),
        ("**", ["a.md", "b.txt", "deep/c.html", "deep/er/d.pdf"]),
        ("d*", ["deep/c.html", "deep/er/d.pdf"]),
        ("[ab].*", ["a.md", "b.txt"]),
        (".git/*", [".git/e.txt"]),
    ],
)
def test_patterns(folder: Path, pattern: str, expected: list[str]) -> None:
    assert found(pattern) == expected
    assert found(folder / pattern) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "x[1].txt").write_text("words")
    assert found("x[1].txt") == ["x[1].txt"]


def test_links_that_lead_in_circles_end(folder: Path) -> None:
    for name in ("loop", "deep/loop", "deep/er/loop"):
        (folder / name).symlink_to(folder)
    (folder / "self").symlink_to("self")
    (folder / "dead.txt").symlink_to("nowhere")
    expected = ["a.md", "b.txt", "deep/c.html", "deep/er/d.pdf"]
    assert found(".") == expected
    assert found("**") == expected
    assert found("*") == expected
    assert refused("self", "dead.txt") == [
        ("self", "no such file or folder"),
        ("dead.txt", "no such file or folder"),
    ]


def test_a_file_named_itself_may_have_any_suffix_if_it_is_text(folder: Path) -> None:
    (folder / "LICENSE").write_text("words")
    (folder / "run.log").write_text("wörter", encoding="utf-16-le")
    (folder / "1706.03762").write_bytes(making.pdf(["words"]))
    (folder / "data.bin").write_bytes(bytes(range(256)))
    assert found("LICENSE", "run.log", "1706.03762", ".hidden.txt") == [
        "LICENSE",
        "run.log",
        "1706.03762",
        ".hidden.txt",
    ]
    assert found("*.log") == ["run.log"]
    reason = "unknown type; Seriatim reads .txt .md .html .pdf .epub .docx"
    (folder / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    assert refused("data.bin", "old.doc") == [("data.bin", reason), ("old.doc", reason)]


def test_what_is_not_found_is_told_and_the_rest_is_kept(folder: Path) -> None:
    (folder / "empty").mkdir()
    address = "https://example.org/a.pdf?x=1"
    names, problems = find_sources(
        ["missing.txt", "b.txt", "empty", "*.epub", address, "", "a\0b", "x" * 300, "~nobody-here/a"]
    )
    assert [Path(name).name for name in names] == ["b.txt"]
    reads = "Seriatim reads .txt .md .html .pdf .epub .docx"
    assert problems == [
        ("missing.txt", "no such file or folder"),
        ("empty", f"a folder without any document; {reads}"),
        ("*.epub", f"matches no document; {reads}"),
        (address, "an address; download it and name the file"),
        ("", "an empty path; name a file or a folder"),
        ("a\ufffdb", "no such file or folder"),
        ("x" * 300, "file name too long"),
        ("~nobody-here/a", "could not determine home directory"),
    ]


def test_a_name_that_is_not_unicode_is_told(folder: Path) -> None:
    Path(os.fsdecode(b"caf\xe9.txt")).write_text("words")
    names, problems = find_sources(["."])
    assert len(names) == 4
    assert problems == [(f"{folder}/caf\ufffd.txt", "its name is not valid Unicode; rename it")]


def test_a_pipe_is_neither_found_nor_waited_for(folder: Path) -> None:
    os.mkfifo("pipe.txt")
    assert len(found(".")) == 4
    assert refused("pipe.txt") == [("pipe.txt", "not a regular file; pass its contents on standard input, as -")]
    with pytest.raises(DocumentError, match=r"^pipe\.txt is not a regular file"):
        read_source(Path("pipe.txt"))


def test_what_may_not_be_read_is_told(folder: Path) -> None:
    (folder / "b.txt").chmod(0)
    (folder / "deep").chmod(0)
    if os.access(folder / "b.txt", os.R_OK):
        pytest.skip("nothing is forbidden to root")
    try:
        names, problems = find_sources(["."])
        assert [Path(name).name for name in names] == ["a.md", "b.txt"]
        assert [reason for _, reason in problems] == ["permission denied"]
        with pytest.raises(DocumentError, match=r"^b\.txt cannot be read: permission denied"):
            read_source(folder / "b.txt")
    finally:
        (folder / "deep").chmod(0o700)


def test_bytes_come_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "crlf.txt").write_bytes(b"a\r\nb\xff")
    assert read_source(folder / "crlf.txt") == b"a\r\nb\xff"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\r\n")))
    assert read_source("-") == b"piped\r\n"


def test_sources_without_content_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "empty.txt").touch()
    for source, message in (
        (folder / "empty.txt", "empty.txt is empty; there is nothing to read"),
        (folder / "gone.txt", "gone.txt cannot be read: no such file or directory"),
        (folder / "deep", "deep is a folder; name the files in it"),
    ):
        with pytest.raises(DocumentError) as caught:
            read_source(source)
        assert str(caught.value) == message
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DocumentError, match=r"^standard input is closed"):
        read_source("-")


def test_a_source_that_is_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_SOURCE_BYTES", 1 << 20)
    with (folder / "vast.txt").open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(DocumentError, match=r"^vast\.txt is larger than 1 MiB; split it into smaller files"):
        read_source(folder / "vast.txt")
