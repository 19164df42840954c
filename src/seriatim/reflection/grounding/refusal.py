"""Does an answer say that the passages do not hold the answer?"""

import re

from seriatim.reflection.grounding.claims import claims_of, quotations

_TEXT = (
    r"(?:passages?|texts?|contexts?|documents?|excerpts?|sources?|materials?|information|chapters?|articles?|book|novel"
    r"|story)"
)
_ASIDE = (
    r"(?:[ ,\d]|\b(?:and|or|provided|given|here|above|themselves|itself|you|gave|supplied|shown|retrieved|available"
    r"|cited|however|simply|other|text|context)\b)*"
)
_NOT = r"(?:do not|don't|does not|doesn't|did not|didn't|never|cannot|can't|fail to|fails to)"
_ADVERB = r"(?:\w+ly |seem to |appear to |anywhere )?"
_TELL = (
    r"(?:contain|mention|provide|say|state|specify|include|hold|give|answer|address|describe|indicate|tell|discuss|offer"
    r"|disclose|explain|reveal|identify|name|list|cover|clarify|detail|have|supply|make clear)"
)
# What else was denied (permission was not given, the letter was not answered) is an answer, not a refusal.
_STATED = r"(?:mentioned|stated|specified|indicated)"
_SEEN = (
    r"(?:mentioned|stated|specified|provided|indicated|disclosed|given|identified|answered|addressed|named|found|included"
    r"|contained|available|present|clear|known|described|revealed|inferred|discussed|explained|said|determined)"
)
_IN_TEXT = rf"(?:in|by|from|within|here)\b(?: \w+){{0,3}}? ?\b{_TEXT}\b"
_IS_NOT = r"\b(?:is|are|was|were|be|been)(?: not|n't) "
_NO = r"(?:no|insufficient|not enough|not any)"
_INFORMATION = r"(?:\w+ ){0,2}(?:information|mention|evidence|indication|details?|references?)\b"
_SEARCHED = r"(?:information|mention|details?|references?|answer|question|context)"
_I_CANNOT = (
    r"(?:\b(?:I|we) (?:cannot|can't|can not|could not|couldn't|did not|didn't|do not|don't"
    r"|(?:am|are|was|were) not able to)|\bunable to)"
)

_REFUSAL = re.compile(
    "|".join(
        (
            # The passages do not mention it.
            rf"\b(?:{_TEXT}|author|narrator){_ASIDE} {_NOT} {_ADVERB}{_TELL}\b",
            rf"\b(?:none of the \w+|no {_TEXT}) {_ADVERB}{_TELL}s?\b",
            # It is not mentioned in the passages. His age is not stated. Not found.
            rf"{_IS_NOT}{_ADVERB}{_SEEN}\b[^.;:]{{0,30}}? {_IN_TEXT}",
            rf"^[^.;:]{{0,90}} {_IS_NOT}{_ADVERB}{_STATED}\W*$",
            rf"^[^.;:]{{0,90}} (?:is|are)(?: not|n't) {_ADVERB}(?:provided|given|disclosed|identified)\W*$",
            rf"^\W*(?:the answer is )?(?:unknown|n/a|not {_SEEN}(?: {_IN_TEXT})?)\W*$",
            # There is no information. They hold no answer.
            rf"\b(?:there (?:is|was|are)|there's|contains?|provides?|gives?|offers?|holds?|includes?|has|have) {_NO} "
            rf"{_INFORMATION}",
            rf"^\W*{_NO} {_INFORMATION}",
            rf"\b(?:no|not the) answer {_IN_TEXT}",
            # It cannot be determined.
            r"\b(?:can|could)(?: ?not|n't) be (?:\w+ly )?(?:determined|answered|inferred|established|confirmed)\b",
            rf"\b(?:can|could)(?: ?not|n't) be (?:found|known|said|identified|seen)\b[^.;:]{{0,30}}? {_IN_TEXT}",
            r"\b(?:not possible|impossible) to (?:determine|answer)\b",
            # I could not find the answer. I don't know.
            rf"{_I_CANNOT} {_ADVERB}(?:find|answer|determine|locate|identify|provide|see)\b"
            rf"[^.;:]{{0,60}}?\b(?:{_SEARCHED}|{_TEXT})\b",
            r"^\W*(?:(?:I'm |I am )?sorry\W+(?:but )?|unfortunately\W+)?I (?:do not|don't) know\b",
            rf"\b(?:do not|don't) have (?:\w+ ){{0,2}}{_SEARCHED}\b",
            r"\bunanswerable\b|\bnot answerable\b",
        )
    ),
    re.IGNORECASE,
)
_TURN = re.compile(r"\b(?:but|however|although|though|yet|except|only|instead)\b", re.IGNORECASE)
_DIGIT = re.compile(r"\d")


def refuses(claim: str) -> bool:
    """Whether one sentence says that there is no answer, and does not then turn to give one."""
    text = " ".join(_without_quotations(claim).replace("’", "'").split())
    match = _REFUSAL.search(text)
    if match is None:
        return False
    turn = _TURN.search(text, match.end())
    return turn is None or len(text[turn.end() :].split()) < 3


def is_refusal(text: str) -> bool:
    """Whether `text` says that the passages do not hold the answer ("The passages do not mention it."), in English.

    Its first sentence must say so, and nothing that follows may be an answer after all: a citation, a quotation or
    a number. Where anything else comes first, that is the answer.
    """
    claims = [claim for claim in claims_of(text) if claim.text]
    if not claims or not refuses(claims[0].text):
        return False
    return not any(
        not refuses(claim.text) and (claim.marks or quotations(claim.text) or _DIGIT.search(claim.text))
        for claim in claims[1:]
    )


def _without_quotations(text: str) -> str:
    pieces, after = [], 0
    for start, end in quotations(text):
        pieces.append(text[after:start])
        after = end
    return "".join([*pieces, text[after:]])
