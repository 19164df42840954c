import pytest

from seriatim.documents.archive import Archive
from seriatim.documents.epub import read_epub
from seriatim.documents.extraction import Unreadable
from seriatim.documents.limits import Limits
from seriatim.documents.reading import parse
from seriatim.errors import DocumentError
from tests.documents import making


def test_chapters_come_in_reading_order() -> None:
    book = making.epub([("One", f"<p>{making.PROSE}</p>"), ("Two", "<p>Second&nbsp;part.</p><p>End.</p>")])
    document = parse("log.epub", book)
    assert document.text == f"One\n\n{making.PROSE}\n\nTwo\n\nSecond part.\n\nEnd."
    assert document.page_starts == ()


def test_pages_in_other_encodings_and_not_well_formed_are_read() -> None:
    book = making.epub_by_hand(
        {
            "a.xhtml": '<?xml version="1.0" encoding="iso-8859-1"?><html><body><p>Café</p></body></html>'.encode(
                "latin-1"
            ),
            "b%20b.xhtml": b"<html><body><p>Never <b>closed",
            "empty.xhtml": b"",
        },
        {"OEBPS/b b.xhtml": b"<p>Never <b>closed"},
    )
    assert parse("book.epub", book).text == "Café\n\nNever closed"


def test_a_listed_page_that_was_never_there_is_passed_over() -> None:
    book = making.epub_by_hand({"a.xhtml": b"<p>Here</p>"})
    listed = making.archive({**_files(book), "OEBPS/book.opf": _opf("a.xhtml", "gone.xhtml")})
    assert parse("book.epub", listed).text == "Here"


def test_protected_books_say_so_and_scrambled_fonts_do_no_harm() -> None:
    def encrypted(name: str) -> dict[str, bytes]:
        inner = f'<CipherData><CipherReference URI="{name}"/></CipherData>'
        return {"META-INF/encryption.xml": f"<encryption>{inner}</encryption>".encode()}

    page = {"a.xhtml": b"<p>Words</p>"}
    assert parse("fonts.epub", making.epub_by_hand(page, encrypted("OEBPS/font.otf"))).text == "Words"
    with pytest.raises(DocumentError, match=r"^locked\.epub is protected \(DRM\)"):
        parse("locked.epub", making.epub_by_hand(page, encrypted("OEBPS/a.xhtml")))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"META-INF/container.xml": b"<container/>"}, "it lacks its part"),
        ({"META-INF/container.xml": b"not xml"}, "META-INF/container.xml is not XML"),
        ({"META-INF/container.xml": b'<c><rootfile full-path="../../etc/passwd"/></c>'}, "it lacks its part"),
    ],
)
def test_a_damaged_book_says_what_is_wrong(files: dict[str, bytes], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_epub(Archive(making.archive(files), Limits()))


def test_entities_in_the_package_are_not_expanded() -> None:
    layers = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    opf = f'<!DOCTYPE p [<!ENTITY e0 "lol">{layers}]><package><manifest><item href="&e12;"/></manifest></package>'
    book = making.archive({**_files(making.epub_by_hand({})), "OEBPS/book.opf": opf.encode()})
    with pytest.raises(DocumentError, match=r"^bomb\.epub (is a damaged EPUB|has no text)"):
        parse("bomb.epub", book)


def _files(book: bytes) -> dict[str, bytes]:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _opf(*names: str) -> bytes:
    items = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in names)
    spine = "".join(f'<itemref idref="{name}"/>' for name in names)
    return f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>".encode()
