"""A budget that fits the question: few tokens where the best passages stand out, more where many are as good."""

from collections.abc import Sequence
from typing import Literal

from seriatim.retrieval.context import Ranked

Tokens = int | Literal["auto"]

LEAST, MOST = 512, 8192
# Chosen on L-Eval's contracts, judged on its other tasks: benchmarks/coverage.py.
_SHARE = 0.55


def ceiling(tokens: Tokens) -> int:
    """The most tokens of passages that a budget may come to."""
    return MOST if tokens == "auto" else tokens


def settled(tokens: Tokens, ranked: Sequence[Ranked]) -> int:
    """The budget in tokens. "auto" has room for the passages of `ranked` (best first) that score at least a share of
    what the best one does, from `LEAST` to `MOST`.

    Every ranking that agrees on the best passage lifts its score above the others', so agreement makes a small budget
    (after Adaptive-k, arXiv 2506.08479, which cuts at a gap of similarity).
    """
    if tokens != "auto":
        return tokens
    least = _SHARE * ranked[0].score if ranked else 0.0
    wanted = sum(each.passage.tokens for each in ranked if each.score >= least)
    return min(MOST, max(LEAST, wanted))
