"""How much one document may cost to read."""

from dataclasses import dataclass

GIB = 1 << 30
MIB = 1 << 20

MAX_SOURCE_BYTES = GIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one PDF, EPUB, DOCX or large HTML file may use before it is refused.

    `memory_bytes` is the address space and `cpu_s` the processor time (seconds) of the process that reads it,
    `wall_s` its time by the clock (seconds). `pages` bounds a PDF. For EPUB and DOCX, which are zip archives,
    `entries` bounds the files inside, `expanded_bytes` what is unpacked in all, and `ratio` unpacked : packed
    bytes of one file inside. `text_bytes` bounds the text that comes back, in UTF-8, and a file of plain text.
    """

    memory_bytes: int = 3 * GIB // 2
    cpu_s: int = 120
    wall_s: float = 300.0
    pages: int = 10_000
    entries: int = 10_000
    expanded_bytes: int = 512 * MIB
    ratio: int = 200
    text_bytes: int = GIB


def in_words(size: int) -> str:
    """A number of bytes for a message: "1.5 GiB", "512 MiB"."""
    return f"{size / GIB:g} GiB" if size >= GIB else f"{size / MIB:.3g} MiB"
