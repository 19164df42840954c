import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seriatim.documents.reading import parse
from seriatim.errors import DocumentError
from tests.documents import making


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"Some words\r\nand more.\r\n"),
        ("notes.md", b"# Some\r\n\r\n*words*"),
        ("page.html", b"<p>Some words"),
        ("log.pdf", making.pdf(["Some words"])),
        ("book.epub", making.epub([("Some", "<p>words</p>")])),
        ("letter.docx", making.docx(["Some words"])),
    ],
)
def test_every_format_is_read_by_name_and_from_standard_input(name: str, data: bytes) -> None:
    document = parse(f"/home/ann/{name}", data)
    assert document.name == f"/home/ann/{name}"
    assert document.sha256 == hashlib.sha256(data).hexdigest()
    assert document.text.replace("#", "").replace("*", "").split()[:2] == ["Some", "words"]
    if name != "page.html":
        assert parse("-", data).text == document.text


def test_plain_text_and_markdown_are_kept_as_they_are() -> None:
    source = "\tTitle\r\n\r\n* item\n\n\n  end  "
    assert parse("a.txt", source.encode("utf-8-sig")).text == source
    assert parse("a.md", source.encode()).text == source


def test_the_offsets_of_a_text_are_those_that_python_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfOne caf\xc3\xa9.\r\nTwo\rthree.\n")
    with open(file, encoding="utf-8-sig", newline="") as opened:
        assert opened.read() == parse("a.txt", file.read_bytes()).text


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "a.txt is empty; there is nothing to read"),
        ("a.txt", b" \r\n\t", "a.txt has no text; there is nothing to read"),
        ("a.html", b"<p> </p>", "a.html has no text; there is nothing to read"),
        ("a.docx", making.docx([""]), "a.docx has no text; there is nothing to read"),
        ("-", b"", "standard input is empty; there is nothing to read"),
        (
            "a.txt",
            bytes(range(256)),
            "a.txt is not text: it holds binary data; Seriatim reads .txt .md .html .pdf .epub .docx",
        ),
        ("/tmp/odd\n\x1b[31mname.txt", b"", "odd\ufffd\ufffd[31mname.txt is empty; there is nothing to read"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(name: str, data: bytes, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(name, data)
    assert str(caught.value) == message


def test_text_can_be_stored_whatever_the_source_held() -> None:
    text = parse("a.html", b"<p>nul &#0; and half a pair &#xD800;</p>").text
    assert text.encode().decode() == text
    assert "\0" not in text


def test_a_novel_takes_a_moment_and_no_heavy_import() -> None:
    script = (
        "import sys\n"
        "from seriatim.documents.reading import parse\n"
        "from seriatim.documents.sources import find_sources, read_source\n"
        "parse('a.txt', b'words')\n"
        "print([m for m in ('lxml', 'pypdfium2', 'charset_normalizer', 'httpx') if m in sys.modules])"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

    novel = ("Call me Ishmael – “some years ago”.\r\n" * 30_000).encode()
    assert len(novel) > 1_200_000
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        parse("novel.txt", novel)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.05
