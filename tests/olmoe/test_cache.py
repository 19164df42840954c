"""The cache's room, places and masks."""

import pytest
import torch

from seriatim.errors import ModelError
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.config import OlmoeConfig
from tests.olmoe.tiny import TINY

CONFIG = OlmoeConfig(**TINY | {"num_key_value_heads": 2})


def test_a_cache_has_the_shape_of_its_model():
    cache = KVCache.empty(CONFIG, 2, 10)
    assert cache.keys.shape == cache.values.shape == (3, 2, 2, 10, 16)
    assert (cache.capacity, cache.length) == (10, 0)


def test_more_than_the_models_context_is_refused():
    assert KVCache.empty(CONFIG, 1, 256).capacity == 256
    with pytest.raises(ModelError, match="257 tokens exceed the model's context of 256"):
        KVCache.empty(CONFIG, 1, 257)


def test_what_does_not_fit_is_refused():
    cache = KVCache.empty(CONFIG, 1, 10)
    cache.check_room(10)
    with pytest.raises(ModelError, match="0 tokens are read, and there is no room for 11 more: the context holds 10"):
        cache.check_room(11)
    cache.length = 8
    cache.check_room(2)
    with pytest.raises(ModelError, match="8 tokens are read, and there is no room for 3 more"):
        cache.check_room(3)


def test_keys_and_values_go_behind_what_is_read():
    cache = KVCache.empty(CONFIG, 1, 10)
    first, second = torch.ones(1, 2, 3, 16), torch.full((1, 2, 1, 16), 2.0)
    for layer in range(3):
        keys, values = cache.extend(layer, first, -first)
        assert torch.equal(keys, first)
        assert torch.equal(values, -first)
    cache.length = 3
    keys, values = cache.extend(1, second, -second)
    assert torch.equal(keys, torch.cat([first, second], dim=2))
    assert torch.equal(values, -keys)
    assert not cache.keys[0, :, :, 3:].any()


def test_truncating_forgets_and_never_remembers():
    cache = KVCache.empty(CONFIG, 1, 10)
    cache.length = 5
    cache.truncate(7)
    assert cache.length == 5
    cache.truncate(2)
    assert cache.length == 2


def test_places_go_on_from_what_is_read_and_do_not_count_padding():
    cache = KVCache.empty(CONFIG, 2, 10)
    cache.length = 4
    assert cache.positions(3).tolist() == [[4, 5, 6]]
    padded = KVCache.empty(CONFIG, 2, 10, padding=torch.tensor([0, 2]))
    assert padded.positions(4).tolist() == [[0, 1, 2, 3], [0, 0, 0, 1]]
    padded.length = 4
    assert padded.positions(2).tolist() == [[4, 5], [2, 3]]


def test_a_token_sees_itself_and_what_is_before_it():
    cache = KVCache.empty(CONFIG, 2, 10)
    assert cache.mask(1) is None
    cache.length = 2
    mask = cache.mask(2)
    assert mask is not None
    assert mask.int().tolist() == [[[[1, 1, 1, 0], [1, 1, 1, 1]]]]


def test_padding_is_seen_by_none_but_itself():
    cache = KVCache.empty(CONFIG, 2, 10, padding=torch.tensor([0, 2]))
    mask = cache.mask(4)
    assert mask is not None
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert mask[1, 0].int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    cache.length = 4
    one = cache.mask(1)
    assert one is not None
    assert one[:, 0].int().tolist() == [[[1, 1, 1, 1, 1]], [[0, 0, 1, 1, 1]]]
