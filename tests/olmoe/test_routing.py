"""Each statistic against the paper's equation, computed by loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.routing import (
    coactivation,
    domain_specialisation,
    load,
    recorded,
    saturation,
    vocabulary_specialisation,
)
from tests.olmoe.tiny import TINY

EXPERTS, K = 6, 2
choices = st.lists(st.permutations(range(EXPERTS)).map(lambda order: order[:K]), min_size=1, max_size=30)


@given(choices)
def test_load_and_coactivation(chosen: list[list[int]]) -> None:
    experts_NK = torch.tensor(chosen)
    shares, together = load(experts_NK, EXPERTS), coactivation(experts_NK, EXPERTS)
    assert float(shares.sum()) == pytest.approx(1)
    for i in range(EXPERTS):
        with_i = [each for each in chosen if i in each]
        assert float(shares[i]) == pytest.approx(len(with_i) / (K * len(chosen)))
        for j in range(EXPERTS):
            both = sum(j in each for each in with_i) if i != j else 0
            assert float(together[i, j]) == pytest.approx(both / max(1, len(with_i)))


@given(choices, st.randoms(use_true_random=False))
def test_saturation_is_the_shared_part_of_the_choice(chosen: list[list[int]], random) -> None:  # type: ignore[no-untyped-def]
    later = [random.sample(range(EXPERTS), K) for _ in chosen]
    by_hand = sum(len(set(a) & set(b)) / K for a, b in zip(chosen, later, strict=True)) / len(chosen)
    assert saturation(torch.tensor(chosen), torch.tensor(later)) == pytest.approx(by_hand)
    assert saturation(torch.tensor(chosen), torch.tensor(chosen).flip(1)) == 1


@given(choices, choices)
def test_specialisation_of_domains(one: list[list[int]], other: list[list[int]]) -> None:
    shares = domain_specialisation([torch.tensor(one), torch.tensor(other)], EXPERTS)
    first = domain_specialisation([torch.tensor(one)], EXPERTS, first=1)
    for expert in range(EXPERTS):
        assert float(shares[0, expert]) == pytest.approx(sum(expert in each for each in one) / len(one))
        assert float(shares[1, expert]) == pytest.approx(sum(expert in each for each in other) / len(other))
        assert float(first[0, expert]) == pytest.approx(sum(expert == each[0] for each in one) / len(one))
    assert shares.sum(1).tolist() == pytest.approx([K, K])


@given(choices, st.integers(1, 4), st.randoms(use_true_random=False))
def test_specialisation_of_words(chosen: list[list[int]], least: int, random) -> None:  # type: ignore[no-untyped-def]
    words = [random.randrange(5) for _ in chosen]
    ids, shares = vocabulary_specialisation(torch.tensor(chosen), torch.tensor(words), EXPERTS, least=least)
    assert ids.tolist() == sorted(word for word in set(words) if words.count(word) >= least)
    for word, row in zip(ids.tolist(), shares, strict=True):
        occurrences = [each for each, its in zip(chosen, words, strict=True) if its == word]
        for expert in range(EXPERTS):
            by_hand = sum(expert in each for each in occurrences) / len(occurrences)
            assert float(row[expert]) == pytest.approx(by_hand)


def test_choices_are_recorded_while_a_model_runs() -> None:
    torch.manual_seed(0)
    model = Olmoe(OlmoeConfig(**TINY))
    ids = torch.randint(TINY["vocab_size"], (2, 5))
    with recorded(model) as chosen:
        logits = model(ids).router_logits
        model(ids)
    model(ids)
    assert [len(layer) for layer in chosen] == [2, 2, 2]
    for layer, logits_NE in zip(chosen, logits, strict=True):
        assert layer[0].tolist() == logits_NE.topk(TINY["num_experts_per_tok"]).indices.tolist()
