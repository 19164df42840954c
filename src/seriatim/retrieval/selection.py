"""Which passages the reader sees, and in which order: the heart of OP-RAG (arXiv 2409.01666, §3).

The best passages by relevance, within a budget, presented in the order in which they stand in their document.
"""

from collections.abc import Sequence
from typing import Literal

from seriatim.retrieval.context import Ranked

Order = Literal["document", "relevance"]
ORDERS: tuple[Order, ...] = ("document", "relevance")


def within_budget(ranked: Sequence[Ranked], *, tokens: int, passages: int | None = None) -> list[Ranked]:
    """The best of `ranked` (best first) that fit `tokens` together, at most `passages` of them.

    A passage that no longer fits is passed over for a smaller one further down.
    """
    chosen: list[Ranked] = []
    left = tokens
    for each in ranked:
        if passages is not None and len(chosen) == passages:
            break
        if each.passage.tokens <= left:
            chosen.append(each)
            left -= each.passage.tokens
    return chosen


def in_reading_order(chosen: Sequence[Ranked], order: Order = "document") -> tuple[Ranked, ...]:
    """`chosen` as the reader sees it.

    "document": ascending position; of several documents, the one with the best passage first. "relevance": best first.
    """
    by_rank = sorted(chosen, key=lambda each: each.rank)
    if order == "relevance":
        return tuple(by_rank)
    best_rank: dict[str, int] = {}
    for each in by_rank:
        best_rank.setdefault(each.passage.document, each.rank)
    return tuple(sorted(by_rank, key=lambda each: (best_rank[each.passage.document], each.passage.index)))


def follows(previous: Ranked | None, following: Ranked) -> bool:
    """Whether `following` continues `previous` in the same document without a gap."""
    return (
        previous is not None
        and previous.passage.document == following.passage.document
        and previous.passage.index + 1 == following.passage.index
    )
