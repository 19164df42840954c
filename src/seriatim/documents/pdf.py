"""PDF → text by page."""

import re
from itertools import accumulate

import pypdfium2
from pypdfium2 import PdfiumError
from pypdfium2 import raw as pdfium

from seriatim.documents.decoding import storable
from seriatim.documents.extraction import Extracted, Unreadable
from seriatim.documents.limits import Limits

_BETWEEN_PAGES = "\n\n"
_LINE_END = re.compile(r"[ \t]*(?:\r\n|\r|\n)")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# PDFium writes one of these where it has joined a word that a hyphen divides at a line's end.
_DIVIDED = re.compile(r"([^\W\d_]+)[\x02\ufffe]([^\W\d_]+)")
_MARKS = re.compile(r"[\x02\ufffe]")


def read_pdf(data: bytes, limits: Limits) -> Extracted:
    """The text of a PDF and where its pages begin; pages stand apart by an empty line. Raises `Unreadable`.

    A line of the page stays a line. A word divided at a line's end is joined.
    """
    document = _opened(data)
    if len(document) > limits.pages:
        raise Unreadable(
            f"has {len(document):,} pages, more than the {limits.pages:,} that are allowed; "
            "split it, for example with `qpdf --split-pages=1000`"
        )
    pages = [_page_text(document, number) for number in range(len(document))]
    words = {word for page in pages for word in _WORD.findall(page)}
    pages = [_joined(page, words) for page in pages]
    if not any(page.strip() for page in pages):
        raise Unreadable("has no text (is it scanned?); run OCR on it first, for example with `ocrmypdf`")
    starts = accumulate((len(page) + len(_BETWEEN_PAGES) for page in pages[:-1]), initial=0)
    return Extracted(_BETWEEN_PAGES.join(pages), tuple(starts))


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise Unreadable(
                "is encrypted; remove its password first (for example with `qpdf --decrypt`), then add it again"
            ) from error
        raise Unreadable(
            "is damaged and cannot be opened as a PDF; download it again, or repair it with `qpdf`"
        ) from error


def _page_text(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        page = document[number]
        text_page = page.get_textpage()
        text = str(text_page.get_text_bounded())
        text_page.close()
        page.close()
    except PdfiumError as error:
        raise Unreadable(f"is damaged at page {number + 1}; repair it first, for example with `qpdf`") from error
    return storable(_LINE_END.sub("\n", text).strip())


def _joined(page: str, words: set[str]) -> str:
    """`page` with the words joined that a hyphen divided at a line's end.

    The hyphen stays where the rest of the document writes the word with it, or where no word simply runs on:
    before a capital.
    """

    def join(match: re.Match[str]) -> str:
        left, right = match.groups()
        hyphened = f"{left}-{right}"
        keeps = hyphened in words or (right[0].isupper() and not left.isupper())
        return hyphened if keeps and left + right not in words else left + right

    return _MARKS.sub("-", _DIVIDED.sub(join, page))
