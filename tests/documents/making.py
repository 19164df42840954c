"""Real files of every kind, made for the tests as the programs people use would make them."""

import io
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence

PROSE = (
    "The lighthouse keeper wrote every evening in a book with a green cover. "
    "He noted the wind, the height of the sea and the names of the ships that passed."
)


def pdf(pages: Sequence[str], *, password: str | None = None) -> bytes:
    """A PDF with these texts as its pages; with `password`, encrypted."""
    from fpdf import FPDF

    document = FPDF()
    document.set_font("Helvetica", size=11)
    if password is not None:
        document.set_encryption(owner_password="owner-" + password, user_password=password)
    for text in pages:
        document.add_page()
        if text:
            document.multi_cell(120, 6, text)
    return bytes(document.output())


def pdf_of_an_image() -> bytes:
    """A PDF whose only page is a picture, as a scanner makes it."""
    from fpdf import FPDF
    from PIL import Image

    document = FPDF()
    document.add_page()
    document.image(Image.new("L", (60, 40), 200), x=10, y=10, w=60)
    return bytes(document.output())


def pdf_by_hand(
    pages: int, content: bytes = b"BT /F 12 Tf 10 100 Td (Hello) Tj ET", *, deflated: bool = False
) -> bytes:
    """A PDF of `pages` pages that all show `content`, whatever their number."""
    filtered = b"/Filter/FlateDecode" if deflated else b""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, b" ".join([b"3 0 R"] * pages)),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), filtered, content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%sendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(out),
    )


def deflated(start: bytes, filling: bytes, times: int) -> bytes:
    """`start` and then `filling` many times over, packed without ever being held whole."""
    packer = zlib.compressobj(9)
    return b"".join([packer.compress(start), *(packer.compress(filling) for _ in range(times)), packer.flush()])


def epub(chapters: Sequence[tuple[str, str]]) -> bytes:
    """An EPUB with these chapters, each a title and the HTML of its body."""
    from ebooklib import epub as ebook

    book = ebook.EpubBook()
    book.set_identifier("test")
    book.set_title("Test")
    book.set_language("en")
    items = []
    for number, (title, body) in enumerate(chapters):
        # Names run against the reading order, which the spine alone gives.
        item = ebook.EpubHtml(title=title, file_name=f"part {99 - number}.xhtml", lang="en")
        item.content = f"<h1>{title}</h1>{body}"
        book.add_item(item)
        items.append(item)
    book.toc = items
    book.spine = items
    book.add_item(ebook.EpubNcx())
    book.add_item(ebook.EpubNav())
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ebook.write_epub(out, book)
    return out.getvalue()


def epub_by_hand(chapters: Mapping[str, bytes], extra: Mapping[str, bytes] | None = None) -> bytes:
    """An EPUB whose spine holds these files, in order, with `extra` files beside them."""
    items = "".join(
        f'<item id="c{number}" href="{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    return archive(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": b'<container><rootfile full-path="OEBPS/book.opf"/></container>',
            "OEBPS/book.opf": f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>".encode(),
            **{f"OEBPS/{name}": page for name, page in chapters.items()},
            **(extra or {}),
        }
    )


def docx(paragraphs: Sequence[str]) -> bytes:
    """A Word document with these paragraphs."""
    from docx import Document

    document = Document()
    for text in paragraphs:
        document.add_paragraph(text)
    return saved(document)


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONSHIPS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'


def docx_by_hand(body: str, *, prolog: str = "", footnotes: str = "") -> bytes:
    """A Word document whose body is this XML, with prefix `w`."""
    files = {
        "[Content_Types].xml": b"<Types/>",
        "_rels/.rels": relationships({"officeDocument": "word/document.xml"}),
        "word/document.xml": f"{prolog}<w:document {WORD}><w:body>{body}</w:body></w:document>".encode(),
    }
    if footnotes:
        files["word/_rels/document.xml.rels"] = relationships({"footnotes": "footnotes.xml"})
        files["word/footnotes.xml"] = f"<w:footnotes {WORD}>{footnotes}</w:footnotes>".encode()
    return archive(files)


def relationships(targets: Mapping[str, str]) -> bytes:
    entries = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets.items())
    )
    return f"<Relationships {_RELATIONSHIPS}>{entries}</Relationships>".encode()


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return out.getvalue()
