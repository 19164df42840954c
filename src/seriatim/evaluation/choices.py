"""How the benchmarks read a multiple-choice answer, exactly, and beside it a strict reading that guesses nothing."""

import re
from collections.abc import Sequence

LETTERS = "ABCD"
_GUESS = "A"  # what L-Eval takes where an answer names no letter

_PREFIXES = ("answer is:", "answer:", "answer is", "option is")
_SPACED = str.maketrans(dict.fromkeys("\n\"'.,?!{}", " "))
_STRICT = re.compile(
    r"(?:the\s+)?(?:(?:correct\s+)?(?:answer|option)(?:\s+is)?\s*:?\s*)?[(\[]?([A-D])[)\].:]*", re.IGNORECASE
)


def infinitebench_choice(prediction: str, label: Sequence[str]) -> bool:
    """Whether ∞Bench counts `prediction` as right; `label` is the right option's text and its letter.

    Source: OpenBMB/InfiniteBench, `compute_scores.py`, as of the published predictions. A first character in "ABCD"
    decides, so that "Answer: C" is read as A, and so is the first word that is a part of "ABCD".
    """
    said = prediction.strip()
    if not said:
        return False
    if said[0] in LETTERS:
        return said[0] in label
    if said in label:
        return True
    said = re.sub(" {2,}", " ", said.translate(_SPACED))
    for prefix in _PREFIXES:
        _, found, after = said.partition(prefix)
        if found:  # one character, whichever it is, stands between the prefix and the answer
            return bool(after) and after[1:].startswith(tuple(label))
    word = next((word for word in said.split() if word in LETTERS), None)
    return word is not None and word in label


def leval_choice(prediction: str, gold: str) -> float:
    """L-Eval's score of a single choice: the first of "ABCD" in the prediction, against `gold`, its right letter.

    A prediction that is a part of "ABCD", as "BC" is, counts with all its letters; without a letter "A" is guessed,
    unless it is empty. Source: OpenLMLab/LEval at cd34b05, `auto_eval.py` and `em.py`.
    """
    if not prediction.strip():
        return 0.0
    return _leval_score(prediction if prediction in LETTERS else first_letter(prediction) or _GUESS, gold)


def leval_choices(prediction: str, gold: str) -> float:
    """L-Eval's score where several letters may be right (Coursera): 1 for all of them, 0.25 for some and no other.

    An empty prediction is wrong. Source as of `leval_choice`.
    """
    return _leval_score(_leval_letters(prediction), gold) if prediction.strip() else 0.0


def leval_gold(output: str) -> str:
    """The right letters of a L-Eval row: those in the first word of its `output`; "A" where there is none."""
    return re.sub("[^A-D]", "", (output.split() or [""])[0]) or _GUESS


def first_letter(text: str) -> str | None:
    """The first of "ABCD" in `text`."""
    return next((character for character in text if character in LETTERS), None)


def strict_choice(prediction: str, label: Sequence[str]) -> bool:
    """Whether `prediction` says the right letter, or the right option's text, and nothing else.

    "C", "(C).", "Answer: C", "C. the Pequod" for the option "the Pequod", and the option's text are read; a letter
    amid other words is none.
    """
    said = " ".join(prediction.split())
    text, letter = " ".join(label[0].split()), label[-1]
    if said.casefold().rstrip(".") == text.casefold().rstrip("."):
        return True
    match = _STRICT.match(said)
    if not match or match[1].upper() != letter:
        return False
    rest = said[match.end() :].strip().casefold().rstrip(".")
    return not rest or rest == text.casefold().rstrip(".")


def strict_letters(prediction: str, gold: str) -> bool:
    """Whether `prediction` names the right letters and nothing else: "BD", "B, D", "(B) and (D)"."""
    letters = re.sub(r"\band\b|[\s(),.&\[\]]", "", prediction)
    return bool(re.fullmatch("[A-D]+", letters)) and set(letters) == set(gold)


def _leval_score(said: str, gold: str) -> float:
    """1 where `said` is `gold` letter by letter, 0.25 where all its letters are among `gold`'s."""
    return 1.0 if said == gold else 0.25 if set(said) <= set(gold) else 0.0


def _leval_letters(prediction: str) -> str:
    """The letters that a prediction which is not empty names: sorted, unless they stand amid other text alone."""
    leading = re.match("[A-D]*", prediction)
    run = leading[0] if leading else ""
    if len(run) > 1:
        return _sorted(run)
    rest = prediction[len(run) :].partition("Question")[0]
    letters = run + re.sub("[^A-D]", "", "".join(re.findall(r"\s*[A-Z](?=[\s.)])", rest)))
    if letters:
        return _sorted(letters)
    anywhere = re.search("[A-D]+", rest)
    return anywhere[0] if anywhere else _GUESS


def _sorted(letters: str) -> str:
    return "".join(sorted(set(letters)))
