"""Text of documents and models, made safe to show: what it says, and nothing that a terminal would obey."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

_BREAKS = dict.fromkeys((0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029), "\n")
_CONTROLS = dict.fromkeys((*range(0x00, 0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)), "�")
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "�")
# Marks that reorder the text after them could make a quotation read as something that it does not say.
_BIDI = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF), "")
_TABLE = _BREAKS | _CONTROLS | _SURROGATES | _BIDI


def literal(text: str) -> str:
    """`text` with control characters shown as �, any kind of line break as a newline, bidirectional overrides gone."""
    return text.replace("\r\n", "\n").translate(_TABLE)


def line(text: str) -> str:
    """`text` made literal, on one line, with single spaces."""
    return " ".join(literal(text).split())


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 passage", "1,200 passages"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """For each document name the shortest end of its path that tells it from the others."""
    parts = {name: _parts(name) for name in dict.fromkeys(names)}
    depth = dict.fromkeys(parts, 1)
    while True:
        short = {name: line("/".join(parts[name][-depth[name] :])) for name in parts}
        shown = Counter(short.values())
        clashing = [name for name in parts if shown[short[name]] > 1 and depth[name] < len(parts[name])]
        if not clashing:
            return short
        for name in clashing:
            depth[name] += 1


def _parts(name: str) -> tuple[str, ...]:
    return ("standard input",) if name == "-" else PurePath(name).parts or (name,)
