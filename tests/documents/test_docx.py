import pytest
from docx import Document
from docx.enum.text import WD_BREAK
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.archive import Archive
from seriatim.documents.docx import read_docx
from seriatim.documents.extraction import Unreadable
from seriatim.documents.limits import Limits
from seriatim.documents.reading import parse
from seriatim.errors import DocumentError
from tests.documents import making


def read(body: str, **parts: str) -> str:
    return read_docx(Archive(making.docx_by_hand(body, **parts), Limits())).text


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_a_document_from_word_reads_as_it_looks() -> None:
    document = Document()
    document.add_heading("Lease", 1)
    paragraph = document.add_paragraph("Between ")
    paragraph.add_run("Ann Lee").bold = True
    paragraph.add_run("\tand")
    paragraph.add_run().add_break(WD_BREAK.LINE)
    paragraph.add_run("Bo")
    document.add_paragraph("")
    document.add_paragraph("First duty", style="List Bullet")
    table = document.add_table(rows=2, cols=3)
    for row, texts in zip(table.rows, (("Month", "Rent", "Paid"), ("May", "", "yes")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.add_paragraph("Signed.")
    assert parse("lease.docx", making.saved(document)).text == (
        "Lease\n\nBetween Ann Lee\tand\nBo\n\nFirst duty\n\nMonth | Rent | Paid\nMay |  | yes\n\nSigned."
    )


def test_changes_are_read_as_accepted() -> None:
    changes = (
        f"<w:p>{run('The rent is ')}<w:del><w:r><w:delText>500</w:delText></w:r></w:del><w:ins>{run('600')}</w:ins>"
        f"<w:moveFrom>{run(' gone')}</w:moveFrom>{run(' euros')}</w:p>"
    )
    assert read(changes) == "The rent is 600 euros"


def test_field_codes_and_tab_stops_are_not_text() -> None:
    body = (
        '<w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr>'
        f"<w:r><w:instrText>PAGEREF x</w:instrText></w:r>{run('Page ')}<w:hyperlink>{run('7')}</w:hyperlink>"
        "<w:r><w:t>non</w:t><w:noBreakHyphen/><w:t>stop</w:t></w:r></w:p>"
    )
    assert read(body) == "Page 7non-stop"


def test_a_text_box_is_read_once() -> None:
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    box = f"<w:txbxContent><w:p>{run('Boxed')}</w:p></w:txbxContent>"
    choice = (
        f"<mc:AlternateContent {mc}><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    )
    assert read(f"<w:p>{run('Around')}<w:r>{choice}</w:r></w:p>") == "Boxed\n\nAround"


def test_a_note_follows_the_paragraph_that_refers_to_it() -> None:
    body = (
        f"<w:p>{run('As agreed')}<w:r><w:footnoteReference w:id='3'/></w:r>{run('.')}</w:p><w:p>{run('Next.')}</w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:footnoteReference w:id='4'/></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    notes = (
        f"<w:footnote w:id='3'><w:p>{run('In May.')}</w:p></w:footnote>"
        f"<w:footnote w:id='4'><w:p>{run('In June.')}</w:p></w:footnote>"
    )
    assert read(body, footnotes=notes) == "As agreed (note 1).\n\nNote 1: In May.\n\nNext.\n\n(note 2) Note 2: In June."


def test_the_main_part_may_have_any_name_and_the_strict_namespace() -> None:
    strict = "http://purl.oclc.org/ooxml/wordprocessingml/main"
    data = making.archive(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": making.relationships({"officeDocument": "/word/document2.xml"}),
            "word/document2.xml": f'<w:document xmlns:w="{strict}"><w:p>{run("Words")}</w:p></w:document>'.encode(),
        }
    )
    assert parse("letter.docx", data).text == "Words"


@pytest.mark.parametrize(
    ("body", "prolog"),
    [
        ("<w:p>", ""),
        (f"<w:p>{run('&amp;')}</w:p>", "<!DOCTYPE w>"),
        (f"<w:p>{run('&a;')}</w:p>", '<!DOCTYPE w [<!ENTITY a "lol">]>'),
        (f"<w:p>{run('&a;')}</w:p>", '<!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
    ],
)
def test_damaged_documents_and_declared_entities_are_refused(body: str, prolog: str) -> None:
    with pytest.raises(DocumentError, match=r"^bad\.docx is a damaged Word document"):
        parse("bad.docx", making.docx_by_hand(body, prolog=prolog))


def test_another_office_file_says_what_it_is_not() -> None:
    data = making.archive(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": making.relationships({"officeDocument": "xl/workbook.xml"}),
            "xl/workbook.xml": b"<workbook/>",
        }
    )
    with pytest.raises(DocumentError, match=r"^sums\.xlsx is an Office file but not a Word document"):
        parse("sums.xlsx", data)


def test_a_missing_part_is_named() -> None:
    files = {
        "[Content_Types].xml": b"<Types/>",
        "_rels/.rels": making.relationships({"officeDocument": "word/document.xml"}),
        "word/document.xml": f"<w:document {making.WORD}/>".encode(),
    }
    for part in ("_rels/.rels", "word/document.xml"):
        damaged = making.archive({name: data for name, data in files.items() if name != part})
        with pytest.raises(DocumentError, match=rf"^a\.docx is damaged: it lacks its part {part}; copy or download"):
            parse("a.docx", damaged)
    with pytest.raises(DocumentError, match="not a Word document"):
        parse("a.docx", making.archive({**files, "_rels/.rels": making.relationships({"thumbnail": "a.jpeg"})}))


PIECES = [
    "<w:p>",
    "</w:p>",
    "<w:tbl>",
    "<w:tr>",
    "<w:tc>",
    "</w:tc>",
    "</w:tr>",
    "</w:tbl>",
    run("x"),
    "<w:del>",
    "</w:del>",
    "y",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_arrangement_of_elements_is_read_or_refused(body: str) -> None:
    try:
        text = read(body)
    except Unreadable:
        return
    assert text.count("x") <= body.count("x")
