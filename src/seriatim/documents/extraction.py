"""What a format's reader returns, and what it raises."""

from dataclasses import dataclass
from pathlib import Path

from seriatim.documents.limits import Limits, in_words
from seriatim.errors import DocumentError


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document's text; for formats with pages, the character offset at which each page begins; and the encoding of
    plain text where it had to be guessed."""

    text: str
    page_starts: tuple[int, ...] = ()
    guessed_encoding: str | None = None


class Unreadable(Exception):
    """Why a document cannot be read, as the rest of a sentence that begins with its name: "is encrypted; …".

    Readers are handed bytes and know no name; `document_error` makes the whole sentence.
    """


def document_error(name: str, reason: str) -> DocumentError:
    """The error for the document `name` ("-" for standard input): one line that begins with its file name."""
    return DocumentError(f"{display_name(name)} {reason}")


def too_much_text(limits: Limits) -> Unreadable:
    """Why a document with more text than is allowed is not read."""
    return Unreadable(f"holds more than {in_words(limits.text_bytes)} of text; split it into smaller files")


def display_name(name: str) -> str:
    """The file name of `name`, safe to print on one line."""
    if name == "-":
        return "standard input"
    return printable(Path(name).name or name)


def printable(text: str) -> str:
    """`text` without line ends, terminal controls and lone surrogates (each becomes U+FFFD)."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
