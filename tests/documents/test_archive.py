import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.archive import Archive
from seriatim.documents.extraction import Unreadable
from seriatim.documents.limits import Limits
from seriatim.documents.reading import parse
from seriatim.errors import DocumentError
from tests.documents import making

PLAIN = making.archive({"a": b"first " * 50, "b": b"second " * 50})


def test_files_inside_are_read_by_name() -> None:
    archive = Archive(PLAIN, Limits())
    assert "a" in archive
    assert "c" not in archive
    assert archive.read("b") == b"second " * 50


@pytest.mark.parametrize(
    ("files", "limits", "reason"),
    [
        ({str(number): b"" for number in range(11)}, Limits(entries=10), "11 files inside, more than the 10"),
        ({"a": bytes(3 << 20)}, Limits(), "more than 200 times its size"),
        ({"a": b"0123456789" * 100}, Limits(expanded_bytes=999), "unpacks to more than"),
    ],
)
def test_bombs_are_refused(files: dict[str, bytes], limits: Limits, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        Archive(making.archive(files), limits).read("a")


def test_what_is_unpacked_counts_in_all() -> None:
    archive = Archive(PLAIN, Limits(expanded_bytes=500))
    archive.read("a")
    with pytest.raises(Unreadable, match="unpacks to more than"):
        archive.read("b")


def test_files_that_share_their_packed_bytes_are_refused() -> None:
    central = PLAIN.rindex(b"PK\x01\x02")
    # The second file's entry in the directory now points to the first file's bytes.
    overlapping = PLAIN[: central + 42] + struct.pack("<I", 0) + PLAIN[central + 46 :]
    with pytest.raises(Unreadable, match="overlap"):
        Archive(overlapping, Limits())


def test_a_file_inside_that_is_larger_than_it_declares_is_damaged() -> None:
    central = PLAIN.index(b"PK\x01\x02")
    lying = PLAIN[: central + 24] + struct.pack("<I", 6) + PLAIN[central + 28 :]
    with pytest.raises(Unreadable, match="is damaged"):
        Archive(lying, Limits()).read("a")


def test_a_locked_archive_says_so() -> None:
    central = PLAIN.index(b"PK\x01\x02")
    with pytest.raises(Unreadable, match="locked by a password"):
        Archive(PLAIN[: central + 8] + b"\x01\0" + PLAIN[central + 10 :], Limits()).read("a")


@pytest.mark.parametrize("keep", [4, 40, -30, -1])
def test_a_truncated_file_is_damaged(keep: int) -> None:
    with pytest.raises(DocumentError, match=r"^half\.docx is damaged or was cut short"):
        parse("half.docx", making.docx([making.PROSE])[:keep])


def test_an_archive_of_something_else_says_what_it_is_not() -> None:
    with pytest.raises(DocumentError, match=r"^bundle\.zip is a zip archive but neither EPUB nor DOCX"):
        parse("bundle.zip", PLAIN)


@given(st.integers(0, len(PLAIN) - 4), st.binary(min_size=4, max_size=4))
def test_any_change_is_read_or_refused(at: int, changed: bytes) -> None:
    try:
        archive = Archive(PLAIN[:at] + changed + PLAIN[at + 4 :], Limits())
        archive.read("a")
        archive.read("b")
    except Unreadable:
        pass
