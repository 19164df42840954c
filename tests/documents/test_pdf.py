import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seriatim.documents.limits import Limits
from seriatim.documents.reading import parse
from seriatim.errors import DocumentError
from tests.documents import making


def test_every_page_begins_where_it_says() -> None:
    pages = [f"Page {number}. {making.PROSE}" for number in range(1, 6)]
    document = parse("log.pdf", making.pdf(pages))
    assert len(document.page_starts) == 5
    for number, start in enumerate(document.page_starts, 1):
        assert document.text[start:].startswith(f"Page {number}.")
        assert document.page_at(start) == number
        assert document.page_at(start - 1) == (number - 1 or 1)
    assert [" ".join(page.split()) for page in document.text.split("\n\n")] == pages


@settings(max_examples=8)
@given(st.lists(st.sampled_from(["", "One line", "Two\nlines", "Accents: é ü ñ"]), min_size=1, max_size=4).filter(any))
def test_empty_pages_count_as_pages(pages: list[str]) -> None:
    document = parse("some.pdf", making.pdf(pages))
    ends = [start - 2 for start in document.page_starts[1:]] + [len(document.text)]
    found = [document.text[start:end] for start, end in zip(document.page_starts, ends, strict=True)]
    assert found == pages


def test_a_word_divided_at_the_end_of_a_line_is_whole_again() -> None:
    page = (
        "The light-\nhouse keeper, a well-\nknown man of Anglo-\nSaxon origin, kept a note-\nbook from 1919-\n1920.\n"
        "He was well-known."
    )
    text = parse("log.pdf", making.pdf([page])).text
    for word in ("lighthouse keeper", "well-known man", "Anglo-Saxon origin", "notebook from", "1919-\n1920"):
        assert word in text
    assert "\r" not in text
    assert text.replace("\n", "").isprintable()


def test_words_of_neighbouring_lines_stay_apart() -> None:
    document = parse("log.pdf", making.pdf([making.PROSE]))
    assert "\n" in document.text
    assert " ".join(document.text.split()) == making.PROSE


def test_an_encrypted_file_says_how_to_open_it() -> None:
    with pytest.raises(DocumentError) as caught:
        parse("/home/ann/contract.pdf", making.pdf([making.PROSE], password="secret"))
    assert str(caught.value) == (
        "contract.pdf is encrypted; remove its password first (for example with `qpdf --decrypt`), then add it again"
    )


def test_a_file_that_opens_without_a_password_is_read_though_encrypted() -> None:
    assert parse("open.pdf", making.pdf(["Some words"], password="")).text == "Some words"


def test_a_scanned_file_says_to_run_ocr() -> None:
    with pytest.raises(DocumentError, match=r"^scan\.pdf has no text \(is it scanned\?\); run OCR .*`ocrmypdf`$"):
        parse("scan.pdf", making.pdf_of_an_image())


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7 junk " * 50, making.pdf([making.PROSE])[:400]])
def test_a_damaged_file_says_so(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^torn\.pdf is damaged"):
        parse("torn.pdf", data)


def test_too_many_pages_are_refused_at_once() -> None:
    with pytest.raises(DocumentError, match=r"^long\.pdf has 20,000 pages, more than the 10,000"):
        parse("long.pdf", making.pdf_by_hand(20_000))
    assert len(parse("long.pdf", making.pdf_by_hand(600)).page_starts) == 600
    with pytest.raises(DocumentError, match="more than the 3 that"):
        parse("long.pdf", making.pdf_by_hand(4), limits=Limits(pages=3))


def test_a_pdf_under_another_name_is_known_by_its_bytes() -> None:
    assert parse("notes.txt", making.pdf(["Some words"])).page_starts == (0,)
    assert parse("-", making.pdf(["Some words"])).name == "-"


@settings(max_examples=15)
@given(st.data())
def test_a_file_with_any_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    original = making.pdf([making.PROSE])
    at = data.draw(st.integers(0, len(original) - 8))
    changed = original[:at] + data.draw(st.binary(min_size=8, max_size=8)) + original[at + 8 :]
    with contextlib.suppress(DocumentError):
        assert parse("changed.pdf", changed).text.encode()


def test_a_novel_keeps_every_word(tmp_path: Path) -> None:
    book = Path(__file__).parents[3] / "shared/data/books/dracula.txt"
    if not book.exists():
        pytest.skip("needs the books that development uses")
    paragraphs = [" ".join(part.split()) for part in book.read_text("utf-8-sig").split("\n\n")[:400]]
    pages = [
        "\n".join(paragraphs[at : at + 5]).encode("latin-1", "replace").decode("latin-1") for at in range(0, 400, 5)
    ]
    document = parse("dracula.pdf", making.pdf(pages))
    assert document.text.split() == " ".join(pages).split()
