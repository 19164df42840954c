"""HTML and XHTML → readable text."""

import codecs
import re
from collections.abc import Mapping
from html.entities import html5

from seriatim.documents.decoding import decode, storable
from seriatim.documents.extraction import Unreadable
from seriatim.documents.layout import TextFlow, row_text
from seriatim.documents.markup import local_name, read_html, read_xml

_UNREAD = frozenset({
    "head", "script", "style", "template", "noscript", "iframe", "object", "svg", "rp",
})  # fmt: skip
_PARAGRAPHS = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "blockquote", "pre", "table", "figure",
    "figcaption", "article", "section", "header", "footer", "nav", "aside", "main", "hr", "address",
    "fieldset", "form", "details",
})  # fmt: skip
_LINES = frozenset({
    "div", "tr", "dt", "dd", "caption", "center", "legend", "summary", "option",
})  # fmt: skip

# What the web's standard reads in place of the declared encoding, since the latter is a subset.
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
}
_DECLARABLE = re.compile(
    r"utf-8|cp125\d|cp874|cp932|cp949|iso8859-\d+|iso2022_jp|koi8-[ru]|mac-roman|gb18030|big5|euc_jp"
)
_DECLARED = re.compile(rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_DECLARED_WITHIN = 4096
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_XML_ENTITIES = frozenset(("amp;", "lt;", "gt;", "quot;", "apos;"))
# The declaration names an encoding that no longer holds; the document type may declare entities, which are not read.
_PROLOG = re.compile(
    r"\s*(?:<\?xml[^>]*\?>)?\s*(?:<!--.*?-->\s*)*(?:<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)?", re.DOTALL | re.IGNORECASE
)


def html_text(data: bytes) -> str:
    """The readable text of an HTML page, in its declared or its likeliest encoding.

    Blocks end lines; paragraphs, headings and list items stand between empty lines; a table's row is a line with
    " | " between the cells; scripts, styles and the head are left out. Raises `Unreadable`.
    """
    return _html_text(_declared_page(data))


def xhtml_text(data: bytes) -> str:
    """The readable text of an XHTML page, such as an EPUB's chapter; as HTML where it is not well-formed."""
    page = _PROLOG.sub("", _declared_page(data), count=1)
    reader = _PageReader()
    try:
        read_xml(_ENTITY.sub(_character, page).encode(), reader)
    except SyntaxError:
        return _html_text(page)
    return reader.text()


def _html_text(page: str) -> str:
    reader = _PageReader()
    try:
        read_html(page, reader)
    except SyntaxError as error:
        raise Unreadable(f"is damaged HTML ({error.msg}); save it again") from error
    return reader.text()


def _declared_page(data: bytes) -> str:
    """The page's source text in the encoding it declares, unless a byte order mark or the bytes gainsay that."""
    declared = _DECLARED.search(data[:_DECLARED_WITHIN])
    if declared and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            encoding = codecs.lookup(declared[1].decode()).name
            encoding = _WIDER.get(encoding, encoding)
            if _DECLARABLE.fullmatch(encoding):
                return storable(data.decode(encoding))
        except (LookupError, UnicodeError):
            # An unknown name, or bytes that do not fit it: what the bytes look like decides.
            return decode(data)
    return decode(data)


def _character(entity: re.Match[str]) -> str:
    """The character that HTML's entity names; XML's own five stay, since they escape markup."""
    return entity[0] if entity[1] in _XML_ENTITIES else html5.get(entity[1], entity[0])


class _PageReader:
    """Follows a parser through a page and lays its text out; lxml's target interface.

    A cell of a table has a flow of its own, since whether a row is one line or several paragraphs shows only
    once all of its cells are known.
    """

    def __init__(self) -> None:
        self._flows = [TextFlow()]
        self._rows: list[list[str]] = []
        self._unread = 0
        self._preformatted: list[str] = []
        self._pre = 0

    def start(self, tag: str, _attributes: Mapping[str, str]) -> None:
        name = local_name(tag).lower()
        if self._unread or name in _UNREAD:
            self._unread += 1
        elif self._pre:
            self._pre += name == "pre"
            if name == "br":
                self._preformatted.append("\n")
        elif name in ("td", "th"):
            self._flows.append(TextFlow())
        else:
            self._boundary(name)
            if name == "br":
                self._flows[-1].line_break()
            elif name == "pre":
                self._pre = 1
            elif name == "tr":
                self._rows.append([])

    def end(self, tag: str) -> None:
        name = local_name(tag).lower()
        if self._unread:
            self._unread -= 1
        elif self._pre:
            self._pre -= name == "pre"
            if not self._pre:
                self._flows[-1].block(_kept("".join(self._preformatted)))
                self._preformatted = []
        elif name in ("td", "th"):
            self._end_cell(self._flows.pop().text())
        else:
            if name == "tr":
                self._flows[-1].line(row_text(self._rows.pop()))
            self._boundary(name)

    def data(self, text: str) -> None:
        if self._unread:
            return
        text = text.replace("\xad", "")
        if self._pre:
            self._preformatted.append(text)
        else:
            self._flows[-1].words(text)

    def doctype(self, *_names: str | None) -> None:
        """Nothing hangs on the kind of HTML."""

    def close(self) -> None:
        """Nothing is left to do."""

    def text(self) -> str:
        return self._flows[0].text()

    def _boundary(self, name: str) -> None:
        if name in _PARAGRAPHS:
            self._flows[-1].end_paragraph()
        elif name in _LINES:
            self._flows[-1].end_line()

    def _end_cell(self, text: str) -> None:
        if self._rows:
            self._rows[-1].append(text)
        else:
            self._flows[-1].line(text)


def _kept(text: str) -> str:
    """Preformatted text without the empty lines around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").rstrip()
