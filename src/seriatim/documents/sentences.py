"""Text → sentences, as spans that partition it."""

import re

# Words whose full stop does not end a sentence.
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "sr",
        "jr",
        "capt",
        "col",
        "gen",
        "lt",
        "sgt",
        "rev",
        "hon",
        "messrs",
        "mme",
        "mlle",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "viz",
        "fig",
        "figs",
        "eq",
        "eqs",
        "no",
        "nos",
        "vol",
        "vols",
        "ch",
        "chap",
        "sec",
        "art",
        "pp",
        "p",
        "ed",
        "eds",
        "inc",
        "ltd",
        "co",
        "corp",
        "dept",
        "approx",
        "al",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "mt",
        "ft",
    ]
)
# A sentence ends at closing punctuation with its quotes and brackets before white space, at full-width
# punctuation, or at an empty line. A run of dots is tried from its start alone: from each dot, it takes hours.
_END = re.compile(r"""(?<![.!?…])[.!?…]+["'”’»)\]_*]*\s+|[。！？]+[”’」』）]*\s*|\r?\n[ \t]*\r?\n\s*""")
_LAST_WORD = re.compile(r"([\w.]+)\.$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` as (start, end), each with the white space that follows it.

    The spans partition the text: the first starts at 0, each starts where the one before ends, the last ends at
    the text's end. Empty for an empty text.
    """
    spans = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        if end == start or _is_inner_stop(text, start, match):
            continue
        spans.append((start, end))
        start = end
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def _is_inner_stop(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the match is the full stop of an abbreviation or an initial, or stands before a small letter."""
    ending = match.group()
    if ending[0] not in ".!?…" or "\n\n" in ending.replace("\r", ""):
        return False
    following = text[match.end() : match.end() + 1]
    if following.islower():
        return True
    if ending[0] != "." or not ending[1:].isspace():
        return False
    word = _LAST_WORD.search(text, max(start, match.start() - 12), match.start() + 1)
    if word is None:
        return False
    name = word.group(1)
    return name.lower() in _ABBREVIATIONS or (len(name) == 1 and name.isupper() and name != "I")
