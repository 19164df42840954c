import pytest

from seriatim.documents.extraction import Unreadable
from seriatim.documents.formats import format_of


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("notes.txt", b"words", "text"),
        ("README.MD", b"# words", "text"),
        ("page.htm", b"<p>words", "html"),
        ("paper.pdf", b"%PDF-1.7", "pdf"),
        ("paper.pdf", b"\n\nHTTP junk\n%PDF-1.7", "pdf"),
        ("paper.txt", b"%PDF-1.7", "pdf"),
        ("book.epub", b"PK\x03\x04", "zip"),
        ("letter.txt", b"PK\x03\x04", "zip"),
        ("-", b"%PDF-1.7", "pdf"),
        ("-", b"words", "text"),
        ("-", b"\xef\xbb\xbf  <!DOCTYPE HTML><p>words", "html"),
        ("-", b'<?xml version="1.0"?><!-- x --><html xmlns="http://www.w3.org/1999/xhtml">', "html"),
        ("-", "<html>".encode("utf-16"), "html"),
        ("notes.txt", b"<html> begins this prose about HTML", "text"),
        ("notes.txt", b"A PDF begins with %PDF-1.7", "text"),
        ("1706.03762", b"%PDF-1.5", "pdf"),
    ],
)
def test_bytes_go_before_the_name_and_the_name_before_a_guess(name: str, data: bytes, expected: str) -> None:
    assert format_of(name, data) == expected


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", b"<!doctype html><p>Please log in", "is not PDF, though its name says so; it looks like a web page"),
        ("a.docx", b"plain words", "is not DOCX, though its name says so"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office file or one locked by a password"),
        ("a.txt", b"{\\rtf1 words}", "rich text"),
        ("-", b"\x89PNG\r\n\x1a\n", "is an image"),
        ("a.txt", b"\x1f\x8b\x08", "is compressed"),
    ],
)
def test_what_is_not_read_says_why(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        format_of(name, data)
