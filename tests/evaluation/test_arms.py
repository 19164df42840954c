from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.document import Document
from seriatim.documents.passages import cut, located_tokens
from seriatim.evaluation.arms import ARMS, arranged, as_text, middle_truncated
from seriatim.retrieval.context import Ranked
from tests.retrieval.conftest import VOYAGE

PASSAGES = cut(Document("voyage", VOYAGE, "")).passages
chosen = st.permutations(range(len(PASSAGES))).flatmap(
    lambda order: st.integers(1, len(order)).map(
        lambda count: [Ranked(PASSAGES[index], rank, 1 / rank) for rank, index in enumerate(order[:count], 1)]
    )
)


def ranks(passages: tuple[Ranked, ...]) -> list[int]:
    return [each.rank for each in passages]


@given(chosen)
def test_every_arm_shows_the_same_passages_in_its_own_order(passages: list[Ranked]) -> None:
    orders = {arm: arranged(passages, arm, "0") for arm in ARMS if arm not in ("full", "closed")}
    assert all(set(each) == set(passages) for each in orders.values())
    assert [each.passage.index for each in orders["document"]] == sorted(each.passage.index for each in passages)
    best_first = list(range(1, len(passages) + 1))
    assert ranks(orders["relevance"]) == best_first
    assert ranks(orders["reversed"]) == best_first[::-1]
    inwards = [max(place, len(passages) - 1 - place) for place in range(len(passages))]
    by_place = sorted(zip(inwards, ranks(orders["ends"]), strict=True), reverse=True)
    for (outer, better), (inner, worse) in pairwise(by_place):
        assert outer == inner or better < worse


@given(chosen)
def test_shuffling_depends_on_the_seed_alone(passages: list[Ranked]) -> None:
    assert arranged(passages, "shuffled", "7") == arranged(passages[::-1], "shuffled", "7")


def test_every_seed_shuffles_otherwise() -> None:
    passages = [Ranked(passage, rank, 1.0) for rank, passage in enumerate(PASSAGES[:4], 1)]
    orders = {tuple(ranks(arranged(passages, "shuffled", str(seed)))) for seed in range(200)}
    assert len(orders) == 24


def test_neighbours_are_read_as_they_stand() -> None:
    first, second, _, fourth = (Ranked(passage, 1, 1.0) for passage in PASSAGES[:4])
    text = as_text([first, second, fourth])
    assert text.startswith(VOYAGE[: second.passage.end].strip() + "\n\n")
    assert text.endswith(fourth.passage.text.strip())
    assert as_text([second, first]).startswith(second.passage.text.strip() + "\n\n")


@given(st.integers(0, 400))
def test_the_middle_goes_first(tokens: int) -> None:
    text = middle_truncated(VOYAGE, tokens)
    starts, _ = located_tokens(VOYAGE)
    if tokens >= len(starts):
        assert text == VOYAGE
    else:
        half = tokens // 2
        head, tail = (starts[half], starts[len(starts) - half]) if half else (0, len(VOYAGE))
        assert text == VOYAGE[:head] + VOYAGE[tail:]
