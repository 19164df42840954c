"""A checked draft → the answer as people see it, and what the model is told to correct."""

import re

from seriatim.reflection.grounding.check import Checked, Grounding, Unsupported
from seriatim.reflection.parser import escape_tags

UNSUPPORTED = "[unsupported]"
_MOST_FAULTS = 6
_LONGEST_TEXT = 90
_ENDING = re.compile(r"[.!?…:;,。！？]+\s*$")


def cited_answer(draft: str, grounding: Grounding) -> str:
    """`draft` with its citations as the check leaves them, each as [n], and [unsupported] after what nothing supports.

    Nothing but citation marks, and white space before them, is taken away.
    """
    edits: list[tuple[int, int, str]] = []
    for checked in grounding.claims:
        edits += _edits(draft, checked)
    pieces, after = [], 0
    for start, end, text in sorted(edits):
        pieces += [draft[after:start], text]
        after = end
    return "".join([*pieces, draft[after:]])


def feedback(grounding: Grounding) -> str:
    """What the check found, in plain sentences for the model to act on; empty without faults."""
    faults = sorted(grounding.unsupported, key=lambda fault: bool(fault.found_in))
    if not faults:
        return ""
    sentences = list(dict.fromkeys(_sentence(fault) for fault in faults))
    more = len(sentences) - _MOST_FAULTS
    sentences = sentences[:_MOST_FAULTS] + ([f"There are {more} more faults."] if more > 0 else [])
    return "The check found faults: " + " ".join(sentences)


def doubt(draft: str, grounding: Grounding) -> str:
    """What a review that does not believe `draft` found, for the model to act on."""
    cited = tuple(dict.fromkeys(citation.passage for citation in grounding.citations))
    return f"“{_shortened(draft)}” is not what {_passages(cited)} {'say' if len(cited) > 1 else 'says'}."


def _edits(draft: str, checked: Checked) -> list[tuple[int, int, str]]:
    """The replacements (start, end, text) that give one claim its citations."""
    claim = checked.claim
    written = {number for mark in claim.marks for number in mark.numbers}
    missing = [number for number in checked.passages if number not in written]
    ending = "" if checked.supported else f" {UNSUPPORTED}"
    at = claim.start + _end_of_words(claim.text)
    edits = []
    for mark in claim.marks:
        numbers = [number for number in mark.numbers if number in checked.passages]
        if mark is claim.marks[-1]:
            numbers += missing
            closes = mark.end > claim.start and not any(map(str.isalnum, claim.text[mark.end - claim.start :]))
            if closes:
                edits.append(_replacement(draft, mark.start, mark.end, numbers, ending))
                return edits
        edits.append(_replacement(draft, mark.start, mark.end, numbers, ""))
    added = "" if claim.marks or not missing else f" {_written(missing)}"
    return [*edits, (at, at, added + ending)]


def _replacement(draft: str, start: int, end: int, numbers: list[int], ending: str) -> tuple[int, int, str]:
    """What stands instead of a mark. Without any, the white space before it goes; at a line's start, that after it."""
    if numbers:
        return start, end, _written(numbers) + ending
    before = len(draft[:start].rstrip(" \t"))
    if ending or (before and draft[before - 1] not in "\r\n"):
        return before, end, ending
    after = end + len(draft[end:]) - len(draft[end:].lstrip(" \t"))
    return start, after, ""


def _written(numbers: list[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _end_of_words(text: str) -> int:
    """Where a claim ends, before its closing punctuation; after it, when that belongs to a quotation."""
    ending = _ENDING.search(text)
    return ending.start() if ending and ending.start() else len(text)


def _sentence(fault: Unsupported) -> str:
    kind, text = fault.fact.kind, _shortened(fault.fact.text)
    if kind == "citation":
        return f"There is no passage [{text}]."
    subject = f"The quotation “{text}”" if kind == "quotation" else f"“{text}”"
    cited = _passages(fault.cited) if fault.cited else ""
    if not fault.found_in:
        return f"{subject} has no support in {f'{cited}, nor in any other' if cited else 'any passage'}."
    holding = fault.found_in[:3]
    return f"{subject} does not stand in {cited}; {_passages(holding)} {'have' if len(holding) > 1 else 'has'} it."


def _passages(numbers: tuple[int, ...]) -> str:
    if len(numbers) == 1:
        return f"passage [{numbers[0]}]"
    return "passages " + ", ".join(f"[{n}]" for n in numbers[:-1]) + f" and [{numbers[-1]}]"


def _shortened(text: str) -> str:
    text = escape_tags(" ".join(text.split()))
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1].rstrip() + "…"
