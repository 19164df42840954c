"""Parsing XML and HTML from strangers: no network, no external entities, no expansion of entities."""

from collections.abc import Mapping
from typing import Any, Protocol

from lxml import etree

# Handed all at once, a single text of more than 10 MB would be refused.
_FEED_BYTES = 1 << 16


class Reader(Protocol):
    """Follows a parser through a document, element by element. Tags are in lxml's notation, "{namespace}name".

    `doctype` must be there even if it does nothing: only for readers without it does lxml keep the entities that a
    document type declares.
    """

    def doctype(self, name: str, public_id: str | None, system_url: str | None, /) -> None: ...

    def start(self, tag: str, attributes: Mapping[str, str], /) -> None: ...

    def end(self, tag: str, /) -> None: ...

    def data(self, text: str, /) -> None: ...

    def close(self) -> None: ...


def read_xml(data: bytes, reader: Reader) -> None:
    """Lead `reader` through the XML in `data`. Raises `SyntaxError` where it is not well-formed.

    A document that declares entities of its own is refused in the same way, which leaves entity bombs no way in.
    """
    target: Any = reader
    _feed(etree.XMLParser(target=target, **_SAFE), data)


def read_html(page: str, reader: Reader) -> None:
    """Lead `reader` through the HTML in `page`, mending what is not well-formed."""
    target: Any = reader
    data = page.encode()
    if data:
        _feed(etree.HTMLParser(target=target, encoding="utf-8", no_network=True, huge_tree=False), data)


def xml_tree(data: bytes) -> Any:
    """The root element of a small XML file. Raises `SyntaxError` where it is not well-formed."""
    return etree.fromstring(data, etree.XMLParser(**_SAFE))


def local_name(tag: object) -> str:
    """The name of an element without its namespace; "" for comments and instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


_SAFE: dict[str, Any] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def _feed(parser: Any, data: bytes) -> None:
    try:
        for start in range(0, len(data), _FEED_BYTES):
            parser.feed(data[start : start + _FEED_BYTES])
        parser.close()
    except etree.XMLSyntaxError as error:
        if getattr(error, "code", None) == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from error
        raise
