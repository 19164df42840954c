"""EPUB → text, chapter by chapter in reading order."""

import posixpath
from typing import Any
from urllib.parse import unquote

from seriatim.documents.archive import Archive
from seriatim.documents.extraction import Extracted, Unreadable
from seriatim.documents.html import xhtml_text
from seriatim.documents.markup import local_name, xml_tree

CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(archive: Archive) -> Extracted:
    """The text of a book's spine; chapters stand apart by an empty line. Raises `Unreadable`."""
    chapters = _spine(archive)
    locked = _locked(archive)
    if any(chapter in locked for chapter in chapters):
        raise Unreadable("is protected (DRM), so its text cannot be read; use an unprotected copy")
    # A chapter that the book lists but never held is no loss; one that is there must be whole.
    texts = (xhtml_text(archive.read(chapter)) for chapter in chapters if chapter in archive)
    return Extracted("\n\n".join(text for text in texts if text))


def _spine(archive: Archive) -> list[str]:
    """The names of the book's pages inside the archive, in reading order."""
    package = next(
        (
            unquote(element.get("full-path", ""))
            for element in _tree(archive, CONTAINER).iter()
            if local_name(element.tag) == "rootfile"
        ),
        "",
    )
    root = _tree(archive, package)
    folder = posixpath.dirname(package)
    pages: dict[str, str] = {}
    spine: list[str] = []
    for element in root.iter():
        match local_name(element.tag):
            case "item" if element.get("media-type") in _PAGES:
                href = unquote(element.get("href", ""))
                pages[element.get("id", "")] = posixpath.normpath(posixpath.join(folder, href))
            case "itemref":
                spine.append(element.get("idref", ""))
    return [pages[page] for page in spine if page in pages]


def _locked(archive: Archive) -> set[str]:
    """The names of the files inside that are encrypted; fonts often are in books that are otherwise open."""
    if _ENCRYPTION not in archive:
        return set()
    return {
        unquote(element.get("URI", ""))
        for element in _tree(archive, _ENCRYPTION).iter()
        if local_name(element.tag) == "CipherReference"
    }


def _tree(archive: Archive, name: str) -> Any:
    try:
        return xml_tree(archive.read(name))
    except SyntaxError as error:
        raise Unreadable(f"is a damaged EPUB: its part {name} is not XML; download it again") from error
