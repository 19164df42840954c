"""The table of names, against the module, transformers and the gguf package."""

import gguf
import pytest
import torch
from safetensors import safe_open

from seriatim.olmoe.config import OLMOE_1B_7B, OlmoeConfig
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.names import table
from tests.olmoe.tiny import TINY, reference

CONFIGS = [{}, {"tie_word_embeddings": True}, {"num_key_value_heads": 2}, {"num_experts": 1, "num_experts_per_tok": 1}]


@pytest.fixture(params=CONFIGS, name="config", ids=str)
def config_fixture(request):
    return OlmoeConfig(**TINY | request.param)


def test_the_table_has_every_tensor_of_the_module_in_its_shape(config):
    state = Olmoe(config).state_dict()
    if config.tie_word_embeddings:
        del state["lm_head.weight"]
    assert {name: row.shape for name, row in table(config).items()} == {
        name: tuple(tensor.shape) for name, tensor in state.items()
    }


def test_published_names_and_shapes_are_those_that_transformers_saves(config, tmp_path):
    reference(**{name: getattr(config, name) for name in config.__slots__}).save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        saved = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    pieces = [piece for row in table(config).values() for piece in row.published(torch.empty(row.shape))]
    assert {name: list(view.shape) for name, view in pieces} == saved
    assert len(pieces) == len(saved)


def test_gguf_names_are_those_that_the_gguf_package_maps_published_names_to():
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.OLMOE, OLMOE_1B_7B.num_hidden_layers)
    for row in table(OLMOE_1B_7B).values():
        for part in row.parts:
            # The package knows experts by their stacked name.
            published = part.published[0].replace("experts.0.", "experts.").removesuffix(".weight")
            assert names.get_name(published) + ".weight" == part.gguf


def test_the_real_model_has_3219_tensors_of_6919161856_weights():
    rows = table(OLMOE_1B_7B).values()
    assert sum(len(part.published) for row in rows for part in row.parts) == 3219
    assert sum(row.elements for row in rows) == OLMOE_1B_7B.total_parameters == 6_919_161_856


def test_pieces_are_views_so_that_one_table_serves_reading_and_writing(config):
    for row in table(config).values():
        tensor = torch.randn(row.shape)
        copy = torch.zeros(row.shape)
        for (_, piece), (_, place) in zip(row.published(tensor), row.published(copy), strict=True):
            place.copy_(piece)
        assert torch.equal(copy, tensor)


def test_gate_rows_stand_before_up_rows(config):
    row = table(config)["model.layers.1.mlp.experts.gate_up_proj"]
    tensor = torch.randn(row.shape)
    pieces = dict(row.published(tensor))
    width = config.intermediate_size
    assert torch.equal(pieces["model.layers.1.mlp.experts.0.gate_proj.weight"], tensor[0, :width])
    assert torch.equal(pieces["model.layers.1.mlp.experts.0.up_proj.weight"], tensor[0, width:])
