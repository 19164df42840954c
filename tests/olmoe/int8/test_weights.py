import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seriatim.errors import ModelError
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.int8.weights import check_sizes, gate_with_up, padded, quantise, values
from tests.olmoe.tiny import TINY


@given(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9), st.integers(0, 99))
def test_quantised_values_are_the_nearest_bytes(experts, panels, fours, seed):
    shape = (*[experts] * (experts > 0), 32 * panels, 4 * fours)
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    quantised = quantise(weight)
    assert quantised.panels.shape == (*shape[:-2], panels, fours, 32, 4)
    restored = values(quantised)
    assert restored.shape == weight.shape
    assert restored.abs().max() <= 127
    assert torch.equal(restored.abs().amax(-1), torch.full(shape[:-1], 127, dtype=torch.int8))
    error = (restored * quantised.scales[..., None] - weight).abs()
    assert (error <= quantised.scales[..., None] * 0.5001).all()


def test_a_channel_of_zeros_stays_zero():
    quantised = quantise(torch.zeros(32, 8))
    assert not values(quantised).any()
    assert not quantised.scales.any()


def test_gates_and_ups_alternate_by_sixteen():
    gate_up = torch.arange(64).repeat(2, 1)[:, :, None].float()
    rows = gate_with_up(gate_up)[1, :, 0].tolist()
    assert rows == [*range(16), *range(32, 48), *range(16, 32), *range(48, 64)]


def test_padding_fills_a_panel_with_zeros():
    assert padded(torch.ones(33, 8)).shape == (64, 8)
    assert padded(torch.ones(33, 8)).sum() == 33 * 8
    assert padded(torch.ones(32, 8)).shape == (32, 8)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"hidden_size": 48, "num_attention_heads": 3, "num_key_value_heads": 3}, "hidden_size"),
        ({"intermediate_size": 40}, "intermediate_size"),
        ({"num_key_value_heads": 1}, "the width of all keys"),
        ({"num_attention_heads": 16, "num_key_value_heads": 16}, "the width of a head"),
    ],
)
def test_sizes_that_do_not_fill_panels_are_named(changes, name):
    with pytest.raises(ModelError, match=f"int8 needs {name} to be a multiple of"):
        check_sizes(OlmoeConfig(**{**TINY, **changes}))
