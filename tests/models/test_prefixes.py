import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seriatim.models.prefixes import Prefix, Prefixes, shared
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.config import OlmoeConfig
from tests.olmoe.tiny import TINY

CAPACITY = 2048
CONFIG = OlmoeConfig(**{**TINY, "num_hidden_layers": 1, "hidden_size": 8, "max_position_embeddings": CAPACITY})


def new_cache(capacity: int) -> KVCache:
    return KVCache.empty(CONFIG, 1, capacity)


def read(prefixes: Prefixes, prompt: list[int]) -> int:
    """Read `prompt` as a model does, each key being its token's id; returns how many tokens were there already."""
    taken = prefixes.take(prompt, len(prompt) + 8)
    cached = taken.cache.length
    assert taken.ids == prompt[:cached]
    assert cached < len(prompt)
    assert taken.cache.capacity >= len(prompt) + 8
    taken.ids += prompt[cached:]
    taken.cache.keys[0, 0, :, cached : len(prompt)] = torch.tensor(prompt[cached:])[:, None]
    taken.cache.values[0, 0, :, cached : len(prompt)] = -torch.tensor(prompt[cached:])[:, None]
    taken.cache.length = len(prompt)
    assert taken.cache.keys[0, 0, 0, : len(prompt), 0].tolist() == prompt
    assert taken.cache.values[0, 0, 0, : len(prompt), 0].tolist() == [-each for each in prompt]
    prefixes.give_back(taken)
    return cached


LONG = list(range(600))


def test_what_a_prompt_shares_with_the_last_is_kept() -> None:
    prefixes = Prefixes(new_cache, CAPACITY)

    assert read(prefixes, LONG) == 0
    assert read(prefixes, [*LONG, 1, 2]) == 600
    assert read(prefixes, [*LONG[:400], 7]) == 400
    assert read(prefixes, [*LONG[:400], 7]) == 400, "the last token is read again, for its logits"


def test_a_prompt_in_between_does_not_cost_the_long_one() -> None:
    prefixes = Prefixes(new_cache, CAPACITY)
    read(prefixes, LONG)

    assert read(prefixes, [*LONG[:20], *range(900, 950)]) == 20
    assert read(prefixes, [*LONG, 5]) == 600
    assert read(prefixes, [*LONG[:20], *range(800, 850)]) == 20
    assert read(prefixes, [*LONG, 5, 6]) == 601


def test_the_one_used_longest_ago_makes_room() -> None:
    prefixes = Prefixes(new_cache, CAPACITY, most=2)
    for prompt in ([1] * 50, [2] * 50, [1] * 51, [3] * 50):
        read(prefixes, prompt)

    assert read(prefixes, [1] * 52) == 51
    assert read(prefixes, [2] * 52) == 0


def test_a_growing_text_is_moved_to_a_larger_cache() -> None:
    asked: list[int] = []
    prefixes = Prefixes(lambda capacity: (asked.append(capacity), new_cache(capacity))[1], 1500)

    for length in (10, 400, 600, 1100, 1400):
        read(prefixes, list(range(length)))

    assert asked == [512, 1024, 1500]


def test_a_prefix_in_use_is_nobody_elses() -> None:
    prefixes = Prefixes(new_cache, CAPACITY)
    read(prefixes, LONG)

    used = [prefixes.take([*LONG, each], 700) for each in range(4)]

    assert len({id(prefix.cache) for prefix in used}) == 4
    assert [len(prefix.ids) for prefix in used] == [600, 0, 0, 0]
    for prefix in used:
        prefixes.give_back(prefix)
    assert len(prefixes._kept) == 2


def test_nothing_is_left_of_what_is_forgotten() -> None:
    prefixes = Prefixes(new_cache, CAPACITY)
    read(prefixes, LONG)
    prefixes.clear()

    assert read(prefixes, LONG) == 0


def test_a_generation_that_ends_anywhere_leaves_ids_and_cache_agreed() -> None:
    drawn = Prefix(new_cache(16), [1, 2, 3, 4])
    drawn.cache.length = 3
    read_on = Prefix(new_cache(16), [1, 2])
    read_on.cache.length = 3

    drawn.settle()
    read_on.settle()

    assert (drawn.ids, drawn.cache.length) == ([1, 2, 3], 3)
    assert (read_on.ids, read_on.cache.length) == ([1, 2], 2)


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=8), st.integers(1, 3))
def test_a_prefix_always_holds_what_it_says(prompts: list[list[int]], most: int) -> None:
    prefixes = Prefixes(new_cache, CAPACITY, most=most)
    before: list[list[int]] = []
    for prompt in prompts:
        cached = read(prefixes, prompt)
        assert cached <= max((shared(prompt, each) for each in before), default=0)
        before.append(prompt)
