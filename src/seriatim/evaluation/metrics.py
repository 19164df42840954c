"""Scores of a prediction against its references, as the benchmarks define them."""

import re
import string
from collections import Counter
from collections.abc import Iterable

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(text: str) -> str:
    """`text` in lower case without ASCII punctuation, articles and surplus white space (SQuAD, ∞Bench, L-Eval)."""
    without_articles = re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION))
    return " ".join(without_articles.split())


def f1(prediction: str, references: Iterable[str]) -> float:
    """The best multiset F1 of normalised words over `references`, 0 to 1 (∞Bench En.QA, L-Eval)."""
    return max((_f1(normalized(prediction).split(), normalized(each).split()) for each in references), default=0.0)


def exact_match(prediction: str, references: Iterable[str]) -> bool:
    """Whether `prediction` is one of `references`, both normalised."""
    return normalized(prediction) in {normalized(each) for each in references}


def _f1(predicted: list[str], reference: list[str]) -> float:
    common = (Counter(predicted) & Counter(reference)).total()
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(reference)
    return 2 * precision * recall / (precision + recall)
