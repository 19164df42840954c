"""How the next token is drawn, against a distribution made by hand."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seriatim.olmoe.sampling import kept, next_token, penalised, probabilities
from seriatim.sampling import GREEDY, Sampling

# Out of order, so that a place in the sorted vocabulary is never its id.
LIKELY = [0.05, 0.4, 0.1, 0.25, 0.2]
LOGITS = torch.tensor(LIKELY).log() + 3.0  # logits need not be normalised


def drawn(sampling: Sampling, logits: torch.Tensor = LOGITS, times: int = 3000) -> Counter[int]:
    random = torch.Generator().manual_seed(0)
    return Counter(next_token(logits, [], sampling, random) for _ in range(times))


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({}, {0, 1, 2, 3, 4}),
        ({"top_k": 1}, {1}),
        ({"top_k": 2}, {1, 3}),
        ({"top_k": 5}, {0, 1, 2, 3, 4}),
        ({"top_k": 50}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.0}, {1}),
        ({"top_p": 0.39}, {1}),
        ({"top_p": 0.5}, {1, 3}),  # the token with which the sum reaches it stays
        ({"top_p": 0.7}, {1, 3, 4}),
        ({"top_p": 0.96}, {0, 1, 2, 3, 4}),
        ({"min_p": 1.0}, {1}),
        ({"min_p": 0.55}, {1, 3}),  # of the likeliest's probability, not of all
        ({"min_p": 0.2}, {1, 2, 3, 4}),
        ({"top_k": 3, "top_p": 0.75}, {1, 3}),  # 0.4 + 0.25 of the 0.85 that top-k leaves
        ({"top_k": 2, "min_p": 0.2}, {1, 3}),
        ({"top_p": 0.5, "min_p": 0.9}, {1}),
    ],
)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_filters_leave_the_likely_and_do_not_depend_on_the_temperature(filters, left, temperature):
    sampling = Sampling(temperature=temperature, **filters)
    weights = torch.tensor([p ** (1 / temperature) if id in left else 0.0 for id, p in enumerate(LIKELY)])
    assert set(kept(LOGITS, sampling).nonzero()[:, 0].tolist()) == left
    assert torch.allclose(probabilities(LOGITS, sampling), weights / weights.sum(), atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_is_likely(temperature):
    counts = drawn(Sampling(temperature=temperature))
    total = sum(p ** (1 / temperature) for p in LIKELY)
    for id, likely in enumerate(LIKELY):
        expected = likely ** (1 / temperature) / total
        assert counts[id] / 3000 == pytest.approx(expected, abs=4 * math.sqrt(expected / 3000))


def test_what_a_filter_leaves_out_is_never_drawn():
    assert set(drawn(Sampling(temperature=5.0, top_k=3))) == {1, 3, 4}


def test_greedy_takes_the_likeliest_and_no_random_number():
    random = torch.Generator().manual_seed(0)
    before = random.get_state()
    assert next_token(LOGITS, [], GREEDY, random) == 1
    assert torch.equal(random.get_state(), before)


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-39, 1e-46, 5e-324])
def test_a_temperature_near_0_takes_the_likeliest(temperature):
    assert set(drawn(Sampling(temperature=temperature), times=50)) == {1}
    assert set(drawn(Sampling(temperature=temperature, top_k=3, top_p=0.9), LOGITS * 1e4, times=50)) == {1}


def test_a_temperature_near_0_leaves_a_tie_open():
    assert set(drawn(Sampling(temperature=1e-39), torch.tensor([1.0, 7.0, 7.0]), times=50)) == {1, 2}


def test_a_temperature_without_end_makes_all_that_is_left_alike():
    sampling = Sampling(temperature=math.inf, top_k=4)
    assert probabilities(LOGITS, sampling).tolist() == pytest.approx([0, 0.25, 0.25, 0.25, 0.25])


def test_a_seed_repeats_a_draw():
    draws = [
        [next_token(LOGITS, [], Sampling(temperature=1.0), random) for _ in range(30)]
        for random in (torch.Generator().manual_seed(seed) for seed in (1, 1, 2))
    ]
    assert draws[0] == draws[1] != draws[2]


def test_repeated_tokens_become_less_likely_whatever_their_sign():
    logits = torch.tensor([2.0, -2.0, 4.0, -4.0, 0.0])
    assert penalised(logits, [0, 1, 4, 0], 2.0).tolist() == [1.0, -4.0, 4.0, -4.0, 0.0]
    assert logits.tolist() == [2.0, -2.0, 4.0, -4.0, 0.0]
    assert penalised(logits, [0, 1], 1.0) is logits
    assert penalised(logits, [], 2.0) is logits


def test_a_repeat_is_forgotten_after_64_tokens():
    logits = torch.tensor([2.0, 2.0, 2.0])
    assert penalised(logits, [0, *[1] * 63], 2.0).tolist() == [1.0, 1.0, 2.0]
    assert penalised(logits, [0, *[1] * 64], 2.0).tolist() == [2.0, 1.0, 2.0]


def test_a_penalty_counts_for_greedy_and_before_the_filters():
    random = torch.Generator().manual_seed(0)
    logits = torch.tensor([1.0, 3.0, 2.0])
    assert next_token(logits, [1], Sampling(repeat_penalty=2.0), random) == 2
    drawing = Sampling(temperature=1.0, top_k=1, repeat_penalty=2.0)
    assert {next_token(logits, [1], drawing, random) for _ in range(20)} == {2}


@given(
    logits=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20),
    sampling=st.builds(
        Sampling,
        temperature=st.floats(0, exclude_min=True),
        top_p=st.floats(0, 1),
        top_k=st.integers(0, 30),
        min_p=st.floats(0, 1),
        repeat_penalty=st.floats(0.5, 3),
    ),
    recent=st.lists(st.integers(0, 0), max_size=3),
)
def test_there_is_always_a_token_to_draw(logits, sampling, recent):
    """Whatever is asked for: the probabilities add up to 1, and what is drawn is one that is left."""
    logits_V = penalised(torch.tensor(logits), recent, sampling.repeat_penalty)
    likely = probabilities(logits_V, sampling)
    assert float(likely.sum()) == pytest.approx(1, abs=1e-4)
    assert logits_V[kept(logits_V, sampling)].max() == logits_V.max()
    token = next_token(torch.tensor(logits), recent, sampling, torch.Generator().manual_seed(0))
    assert likely[token] > 0
