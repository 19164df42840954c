"""DOCX → text: paragraphs, tables and notes as Word shows them, with all changes accepted."""

import posixpath
from collections.abc import Mapping
from typing import Any

from seriatim.documents.archive import Archive, lacks
from seriatim.documents.extraction import Extracted, Unreadable
from seriatim.documents.layout import TextFlow, row_text
from seriatim.documents.markup import local_name, read_xml, xml_tree

CONTENT_TYPES = "[Content_Types].xml"
_DAMAGED = "is a damaged Word document; open it in a word processor and save it again"
_NOT_WORD = "is an Office file but not a Word document; save it as .docx or .pdf"
_NAMESPACES = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main",
    "{http://schemas.openxmlformats.org/officeDocument/2006/math",
    "{http://purl.oclc.org/ooxml/officeDocument/math",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006",
)
# Formatting (whose <tab> is a tab stop), deleted and moved-away text, field codes, the reading aid above East
# Asian text, and the second copy of what is there for older programs.
_UNREAD = frozenset({
    "pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "del", "moveFrom", "instrText", "delText", "rt",
    "Fallback",
})  # fmt: skip
_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}


def read_docx(archive: Archive) -> Extracted:
    """The text of a Word document. Raises `Unreadable`.

    Paragraphs stand between empty lines; a table's row is a line with " | " between the cells; a foot- or
    endnote follows the paragraph that refers to it. Headers, footers and comments are left out.
    """
    main = _targets(archive, "").get("officeDocument")
    if main is None:
        raise Unreadable(_NOT_WORD if _relations("") in archive else lacks(_relations("")))
    parts = _targets(archive, main)
    notes = {kind: _notes(archive, parts[kind]) for kind in _NOTES.values() if parts.get(kind, "") in archive}
    reader = _WordReader(notes)
    _read(archive, main, reader)
    if not reader.is_word:
        raise Unreadable(_NOT_WORD)
    return Extracted(reader.text())


def _targets(archive: Archive, part: str) -> dict[str, str]:
    """The parts that `part` ("" for the whole file) refers to, by the kind of the relation."""
    folder, relations = posixpath.dirname(part), _relations(part)
    if relations not in archive:
        return {}
    try:
        root = xml_tree(archive.read(relations))
    except SyntaxError as error:
        raise Unreadable(_DAMAGED) from error
    return {
        element.get("Type", "").rpartition("/")[2]: _absolute(folder, element.get("Target", ""))
        for element in root.iter()
        if local_name(element.tag) == "Relationship" and element.get("TargetMode") != "External"
    }


def _relations(part: str) -> str:
    folder, name = posixpath.split(part)
    return posixpath.join(folder, "_rels", f"{name}.rels")


def _absolute(folder: str, target: str) -> str:
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def _notes(archive: Archive, part: str) -> dict[str, str]:
    reader = _WordReader({})
    _read(archive, part, reader)
    return reader.notes_found


def _read(archive: Archive, part: str, reader: "_WordReader") -> None:
    try:
        read_xml(archive.read(part), reader)
    except SyntaxError as error:
        raise Unreadable(_DAMAGED) from error


class _WordReader:
    """Follows a parser through a part of a Word document and lays its text out.

    `notes` holds the texts of notes by kind and id. `notes_found` gathers them while their own part is read.
    """

    def __init__(self, notes: Mapping[str, Mapping[str, str]]) -> None:
        self.is_word = False
        self.notes_found: dict[str, str] = {}
        self._notes = notes
        self._note_ids: list[str] = []
        self._cited: list[str] = []
        self._count = 0
        self._flows = [TextFlow()]
        self._rows: list[list[str]] = []
        self._paragraphs: list[list[str]] = []
        self._unread = 0
        self._in_text = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = _word_name(tag)
        if self._unread or name in _UNREAD:
            self._unread += 1
            return
        match name:
            case "document":
                self.is_word = True
            case "p":
                self._paragraphs.append([])
            case "t":
                self._in_text = True
            case "tbl":
                self._flows[-1].end_paragraph()
            case "tr":
                self._rows.append([])
            case "tc":
                self._flows.append(TextFlow())
            case "footnote" | "endnote":
                self._note_ids.append(_attribute(attributes, "id"))
                self._flows.append(TextFlow())
            case "footnoteReference" | "endnoteReference":
                self._cite(self._notes.get(_NOTES[name], {}).get(_attribute(attributes, "id"), ""))
            case _ if name in _SIGNS:
                self._append(_SIGNS[name])

    def end(self, tag: str) -> None:
        if self._unread:
            self._unread -= 1
            return
        match _word_name(tag):
            case "t":
                self._in_text = False
            case "p":
                self._flows[-1].block("".join(self._paragraphs.pop()).strip())
                if not self._paragraphs:
                    self._write_notes()
            case "tc":
                cell = self._flows.pop().text()
                if self._rows:
                    self._rows[-1].append(cell)
                else:
                    self._flows[-1].block(cell)
            case "tr":
                self._flows[-1].line(row_text(self._rows.pop()))
            case "tbl":
                self._flows[-1].end_paragraph()
            case "footnote" | "endnote":
                self.notes_found[self._note_ids.pop()] = self._flows.pop().text()

    def data(self, text: str) -> None:
        if self._in_text and not self._unread:
            self._append(text.replace("\xad", ""))

    def doctype(self, *_names: str | None) -> None:
        raise SyntaxError("Office files have no document type")

    def close(self) -> None:
        """Nothing is left to do."""

    def text(self) -> str:
        return self._flows[0].text()

    def _append(self, text: str) -> None:
        if self._paragraphs:
            self._paragraphs[-1].append(text)

    def _cite(self, note: str) -> None:
        if note:
            self._count += 1
            self._append(f" (note {self._count})")
            self._cited.append(f"Note {self._count}: {note}")

    def _write_notes(self) -> None:
        for note in self._cited:
            self._flows[-1].block(note)
        self._cited = []


def _word_name(tag: str) -> str:
    """The name of an element of Word's own, of a formula or of the choice between versions; "" for any other."""
    return local_name(tag) if tag.startswith(_NAMESPACES) else ""


def _attribute(attributes: Mapping[str, Any], name: str) -> str:
    return next((str(value) for key, value in attributes.items() if local_name(key) == name), "")
