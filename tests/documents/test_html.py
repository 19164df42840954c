import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.extraction import Unreadable
from seriatim.documents.html import html_text, xhtml_text
from seriatim.documents.reading import parse
from seriatim.errors import DocumentError


@pytest.mark.parametrize("read", [html_text, xhtml_text])
@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<h1>Head  line</h1><p>One\n two</p><p>Three</p>", "Head line\n\nOne two\n\nThree"),
        ("<ul><li>First</li><li>Second</li></ul>", "First\n\nSecond"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<p>a<br/>b<br/><br/>c</p>", "a\nb\n\nc"),
        ("<p>wo<b>rd</b>s <i>and</i> more</p>", "words and more"),
        ("<p>caf&eacute;&nbsp;&amp; &lt;b&gt; &#8212; soft&shy;ly</p>", "café & <b> — softly"),
        ("<head><title>No</title></head><body>Yes<script>no()</script><style>no</style></body>", "Yes"),
        ("<p>a</p><pre>\n  x = 1\n    y\n</pre><p>b</p>", "a\n\n  x = 1\n    y\n\nb"),
        ("<table><tr><th>N</th><th>City</th></tr><tr><td>Bo</td><td>Rome</td></tr></table>", "N | City\nBo | Rome"),
        ("<table><tr><td><p>a</p></td><td/><td>b<br/>c</td><td/></tr></table>", "a |  | b c"),
        ("<p> </p><div><p/></div>", ""),
    ],
)
def test_a_page_becomes_lines_and_paragraphs(read, page: str, text: str) -> None:
    assert read(f"<html>{page}</html>".encode()) == text


def test_cells_that_hold_paragraphs_are_layout_not_data() -> None:
    long = "A sentence of some length. " * 10
    page = f"<table><tr><td>Menu</td><td><p>{long}</p><p>Second.</p></td></tr></table>"
    assert html_text(page.encode()) == f"Menu\n\n{long.strip()}\n\nSecond."


def test_nothing_of_a_page_that_was_never_closed_is_lost() -> None:
    assert html_text(b"<table><tr><td>one<td><div><p>two <b>three") == "one | two three"


def test_a_text_of_many_megabytes_is_read_whole() -> None:
    assert len(html_text(b"<pre>" + b"line of text\n" * 1_000_000 + b"</pre>")) == 13 * 1_000_000 - 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<meta charset=shift_jis><p>日本語 ①".encode("cp932"), "日本語 ①"),
        ('<meta http-equiv=x content="text/html; charset=windows-1251"><p>Привет'.encode("cp1251"), "Привет"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><p>caf\xe9 \x93x\x94'.encode("latin-1"), "café “x”"),
        (b"<meta charset=nonsense><p>caf\xe9, voil\xe0", "café, voilà"),
        (b"<meta charset=unicode_escape><p>\\u0041", "\\u0041"),
        ("<meta charset=latin-1><p>café".encode("utf-8-sig"), "café"),
        ("<p>no declaration: café".encode(), "no declaration: café"),
        ("<p>café".encode("utf-16"), "café"),
    ],
)
def test_the_declared_encoding_is_respected_when_it_fits(data: bytes, text: str) -> None:
    assert html_text(data) == text


def test_entities_of_a_document_are_never_expanded_or_fetched() -> None:
    layers = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    declared = f'<!DOCTYPE html [<!ENTITY e0 "lol"><!ENTITY file SYSTEM "file:///etc/passwd">{layers}]>'
    page = f"<?xml version='1.0'?>{declared}<html><body><p>before &e9; &file; after</p></body></html>".encode()
    assert xhtml_text(page) == "before &e9; &file; after"
    assert len(html_text(page)) < 2 * len(page)


def test_xhtml_with_empty_elements_and_an_external_type_keeps_its_text() -> None:
    page = (
        b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/x.dtd">'
        b'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a"/></head>'
        b'<body><p><a id="x"/>One&nbsp;two</p><p/></body></html>'
    )
    assert xhtml_text(page) == "One two"


TAGS = (
    "p",
    "div",
    "table",
    "tr",
    "td",
    "pre",
    "br",
    "li",
    "ul",
    "head",
    "script",
    "style",
    "title",
    "b",
    "body",
    "svg",
)
SOUP = st.lists(
    st.one_of(
        st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS] + [f"<{tag}/>" for tag in TAGS]),
        st.sampled_from(
            ["&amp;", "&#0;", "&#xD800;", "&bogus;", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE", "<", "\0"]
        ),
        st.text(max_size=5),
    ),
    max_size=30,
).map("".join)


@given(SOUP)
def test_any_soup_of_tags_is_read_or_refused_in_words(page: str) -> None:
    data = page.encode("utf-8", "surrogatepass")
    for name in ("page.html", "page.xhtml"):
        with contextlib.suppress(DocumentError):
            assert parse(name, data).text.encode()
    with contextlib.suppress(Unreadable):
        xhtml_text(data)


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<div>", "<td>", "<tr>", "<table>", "</table>", "<pre>", "<b>", "word "]))
)
def test_no_word_is_lost_whatever_stands_around_it(pieces: list[str]) -> None:
    page = "".join(pieces)
    assert html_text(page.encode()).count("word") == page.count("word")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    with contextlib.suppress(DocumentError):
        assert parse("page.html", data).text.encode()
