"""Which format a source has, by its name and by its first bytes."""

from pathlib import PurePath
from typing import Literal

from seriatim.documents.extraction import Unreadable

# EPUB and DOCX are both zip archives; which of the two shows only once the archive is open.
Format = Literal["text", "html", "pdf", "zip"]

SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".markdown": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".epub": "zip",
    ".docx": "zip",
}
READABLE = ".txt .md .html .pdf .epub .docx"
HEAD_BYTES = 4096

_FOREIGN = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "is an old Office file or one locked by a password; save it as .docx, unlocked",
    ),
    (b"{\\rtf", "is rich text (RTF); save it as .docx or .txt"),
    (b"%!PS", "is PostScript; turn it into a PDF first, for example with `ps2pdf`"),
    (b"\x89PNG\r\n", "is an image; make a PDF with text of it first, for example with `ocrmypdf`"),
    (b"\xff\xd8\xff", "is an image; make a PDF with text of it first, for example with `ocrmypdf`"),
    (b"GIF8", "is an image; make a PDF with text of it first, for example with `ocrmypdf`"),
    (b"\x1f\x8b", "is compressed; unpack it and add what is inside"),
    (b"7z\xbc\xaf", "is an archive; unpack it and add the files inside"),
    (b"Rar!\x1a", "is an archive; unpack it and add the files inside"),
)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def format_of(name: str, data: bytes) -> Format:
    """The format of a source; what its bytes say goes before what its name says.

    Raises `Unreadable` for a format that Seriatim does not read, and for a name that promises another one.
    """
    declared = SUFFIXES.get(PurePath(name).suffix.lower())
    head = data[:HEAD_BYTES]
    found = sniff(head)
    if found in ("pdf", "zip"):
        return found
    # Readers of PDF accept a header that comes a little late; only the name tells such a file from prose about PDF.
    if declared == "pdf" and b"%PDF-" in head[:1024]:
        return "pdf"
    if reason := foreign(head):
        raise Unreadable(reason)
    if declared in ("pdf", "zip"):
        kind = PurePath(name).suffix[1:].upper()
        looks = "; it looks like a web page" if found == "html" else ""
        raise Unreadable(f"is not {kind}, though its name says so{looks}; fetch or save it again")
    return declared or found or "text"


def sniff(head: bytes) -> Format | None:
    """The format that the first bytes give away; None for what may be plain text or anything else."""
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    start = head.replace(b"\0", b"").lower()
    for mark in _MARKS:
        start = start.removeprefix(mark)
    start = start.lstrip()
    if start.startswith((b"<!doctype html", b"<html")) or (start.startswith(b"<?xml") and b"<html" in start):
        return "html"
    return None


def foreign(head: bytes) -> str | None:
    """Why a file that begins with `head` cannot be read, when it is of a kind known not to be."""
    return next((reason for magic, reason in _FOREIGN if head.startswith(magic)), None)
