"""Which passages are read, and in which order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.document import Passage
from seriatim.retrieval.context import Ranked
from seriatim.retrieval.selection import follows, in_reading_order, within_budget


def ranked(document: str, index: int, rank: int, tokens: int = 10) -> Ranked:
    return Ranked(Passage(document, index, index * 10, index * 10 + 10, None, "0123456789", tokens), rank, 1 / rank)


places = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), unique=True, max_size=25)
lists = places.flatmap(
    lambda chosen: st.lists(st.integers(1, 60), min_size=len(chosen), max_size=len(chosen)).map(
        lambda sizes: [
            ranked(*place, rank, size) for rank, (place, size) in enumerate(zip(chosen, sizes, strict=True), 1)
        ]
    )
)


@given(lists)
def test_inside_a_document_positions_ascend(chosen: list[Ranked]) -> None:
    for document in "abc":
        indices = [each.passage.index for each in in_reading_order(chosen) if each.passage.document == document]
        assert indices == sorted(indices)


@given(lists)
def test_documents_come_by_their_best_passage_and_stay_together(chosen: list[Ranked]) -> None:
    order = [each.passage.document for each in in_reading_order(chosen)]
    by_rank = [each.passage.document for each in sorted(chosen, key=lambda each: each.rank)]
    assert list(dict.fromkeys(order)) == list(dict.fromkeys(by_rank))
    assert sum(a != b for a, b in pairwise(order)) == max(0, len(set(order)) - 1)


@given(lists)
def test_relevance_order_is_by_rank(chosen: list[Ranked]) -> None:
    ranks = [each.rank for each in in_reading_order(chosen, "relevance")]
    assert ranks == sorted(ranks)


@given(lists, st.integers(1, 300), st.one_of(st.none(), st.integers(1, 10)))
def test_the_budget_holds_and_nothing_that_fits_is_left_out(
    candidates: list[Ranked], tokens: int, most: int | None
) -> None:
    chosen = within_budget(candidates, tokens=tokens, passages=most)
    spent = sum(each.passage.tokens for each in chosen)
    assert spent <= tokens
    assert most is None or len(chosen) <= most
    if most is None or len(chosen) < most:
        assert all(each in chosen or each.passage.tokens > tokens - spent for each in candidates)


def test_the_best_passage_is_kept_first() -> None:
    candidates = [ranked("a", 5, 1, 60), ranked("a", 2, 2, 60), ranked("a", 9, 3, 40)]
    assert [each.rank for each in within_budget(candidates, tokens=100)] == [1, 3]


def test_neighbours() -> None:
    assert follows(ranked("a", 1, 2), ranked("a", 2, 1))
    assert not follows(ranked("a", 1, 2), ranked("a", 3, 1))
    assert not follows(ranked("a", 1, 2), ranked("b", 2, 1))
    assert not follows(None, ranked("a", 0, 1))
