"""A source's bytes → a `Document`."""

import hashlib
from threading import Event

from seriatim.documents.decoding import storable, text_and_guess
from seriatim.documents.document import Document
from seriatim.documents.extraction import Extracted, Unreadable, document_error, too_much_text
from seriatim.documents.formats import Format, format_of
from seriatim.documents.limits import MIB, Limits

_DEFAULT_LIMITS = Limits()
# A small page takes a moment at worst, and starting a process for it would take most of the time.
_HTML_IN_PROCESS_BYTES = MIB // 4


def parse(name: str, data: bytes, *, limits: Limits = _DEFAULT_LIMITS, stop: Event | None = None) -> Document:
    """The document `name` whose source holds `data`.

    `name` is its path, or "-" for standard input; its suffix tells the format where the bytes do not. PDF, EPUB,
    DOCX and large HTML are parsed in a process of their own, within `limits` and until `stop` is set. Raises
    `DocumentError` for a source that cannot be read: empty, encrypted, damaged, without text, of another format, or
    beyond the limits.
    """
    if not data:
        raise document_error(name, "is empty; there is nothing to read")
    try:
        extracted = _extract(format_of(name, data), data, limits, stop)
    except Unreadable as error:
        raise document_error(name, str(error)) from error
    if not extracted.text or extracted.text.isspace():
        raise document_error(name, "has no text; there is nothing to read")
    sha256 = hashlib.sha256(data).hexdigest()
    return Document(name, storable(extracted.text), sha256, extracted.page_starts, extracted.guessed_encoding)


def _extract(format_name: Format, data: bytes, limits: Limits, stop: Event | None) -> Extracted:
    if format_name == "text":
        if len(data) > limits.text_bytes:
            raise too_much_text(limits)
        text, guess = text_and_guess(data)
        return Extracted(text, guessed_encoding=guess)
    if format_name == "html" and len(data) <= _HTML_IN_PROCESS_BYTES:
        from seriatim.documents.html import html_text

        return Extracted(html_text(data))
    from seriatim.documents.sandbox import extract

    return extract(format_name, data, limits, stop=stop)
