"""`config.json`: what is read of it, and what no model can have."""

import json
import warnings

import pytest

from seriatim.errors import ModelError
from seriatim.olmoe.config import OLMOE_1B_7B, OlmoeConfig
from tests.olmoe.tiny import TINY

GIVEN = {"model_type": "olmoe", "architectures": ["OlmoeForCausalLM"], **TINY}


def test_what_is_written_is_read_back():
    for config in (OLMOE_1B_7B, OlmoeConfig(**TINY, clip_qkv=8.0, rope_theta=500.0, tie_word_embeddings=True)):
        assert OlmoeConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_published_model_has_seven_billion_parameters_and_uses_one():
    assert OLMOE_1B_7B.total_parameters == 6_919_161_856
    assert OLMOE_1B_7B.active_parameters == 1_282_017_280
    assert (OLMOE_1B_7B.eos_token_id, OLMOE_1B_7B.pad_token_id) == (50279, 1)


@pytest.mark.parametrize("name", ["eos_token_id", "pad_token_id", "bos_token_id"])
def test_a_token_that_is_given_is_in_the_vocabulary(name):
    for id in (0, 95):
        assert getattr(OlmoeConfig.from_dict(GIVEN | {name: id}), name) == id
    for id in (-1, 96, 50279):
        with pytest.raises(ModelError, match=rf"{name} = {id}: it must be in the vocabulary, from 0 to 95"):
            OlmoeConfig.from_dict(GIVEN | {name: id})


def test_a_token_that_is_not_given_is_none():
    """The published model's ids lie outside of a small vocabulary."""
    config = OlmoeConfig.from_dict({name: value for name, value in GIVEN.items() if not name.endswith("_token_id")})
    assert (config.eos_token_id, config.pad_token_id, config.bos_token_id) == (None, None, None)


def test_numbers_may_be_written_in_several_ways():
    config = OlmoeConfig.from_dict(GIVEN | {"hidden_size": 64.0, "eos_token_id": [7], "rope_theta": 500})
    assert (config.hidden_size, config.eos_token_id, config.rope_theta) == (64, 7, 500)
    assert OlmoeConfig.from_dict(GIVEN | {"rope_parameters": {"rope_theta": 500.0}}).rope_theta == 500


def test_unknown_fields_are_told_by_name():
    with pytest.warns(UserWarning, match="not known: colour, size"):
        OlmoeConfig.from_dict(GIVEN | {"size": 1, "colour": "red"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OlmoeConfig.from_dict(GIVEN | {"attention_bias": False, "head_dim": 16, "use_cache": True})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": None}, "vocab_size = None: it must be a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers = True: it must be a whole number"),
        ({"hidden_size": 64.5}, "hidden_size = 64.5: it must be a whole number"),
        ({"clip_qkv": "8"}, "clip_qkv = '8': it must be a number or null"),
        ({"clip_qkv": 0}, "clip_qkv = 0: it must be more than 0"),
        ({"num_experts": -8}, "num_experts = -8: it must be more than 0"),
        ({"num_attention_heads": 5}, "hidden_size = 64 and num_attention_heads = 5: the second must divide the first"),
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3: the second must divide the first"),
        ({"num_attention_heads": 64, "num_key_value_heads": 64}, "width of 1: rotary embeddings need an even one"),
        ({"num_experts_per_tok": 9}, "uses 9 experts a token and has 8"),
        ({"head_dim": 32}, "head_dim = 32"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu': OLMoE has 'silu'"),
        ({"attention_bias": True}, "attention_bias = True"),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type = 'yarn'"),
        ({"rope_parameters": [500]}, r"rope_parameters = \[500\]: it must be an object"),
        ({"architectures": 3}, "architectures = 3: it must be a list"),
        ({"eos_token_id": [1, 2]}, "eos_token_id = .*it must be a whole number or null"),
        ({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}, "names MixtralForCausalLM: only"),
        ({"model_type": "llama", "architectures": None}, "names llama: only OlmoeForCausalLM"),
    ],
)
def test_what_no_olmoe_model_has_is_refused(changes, message):
    with pytest.raises(ModelError, match=message) as caught:
        OlmoeConfig.from_dict(GIVEN | changes)
    assert "\n" not in str(caught.value)


def test_missing_fields_are_named():
    given = {name: value for name, value in GIVEN.items() if name not in ("num_experts", "hidden_size")}
    with pytest.raises(ModelError, match="lacks hidden_size, num_experts"):
        OlmoeConfig.from_dict(given)


@pytest.mark.parametrize(
    "given",
    [
        {"model": {"d_model": 2048, "n_layers": 16, "_CLASS_": "olmo_core.nn.transformer.config.TransformerConfig"}},
        {"run_name": "OLMoE", "dataset": {"_CLASS_": "olmo_core.data.numpy_dataset.NumpyFSLDatasetConfig"}},
        {"_CLASS_": "olmo_core.nn.transformer.config.TransformerConfig", "d_model": 2048},
        {"model": {"d_model": 2048, "block": {"name": "moe_reordered_norm"}}},
    ],
    ids=["a run", "a run without a model", "a model alone", "a run without classes"],
)
def test_a_config_of_olmo_core_is_called_by_its_name(tmp_path, given):
    (tmp_path / "config.json").write_text(json.dumps(given))
    with pytest.raises(ModelError, match="a checkpoint of OLMo-core, whose olmoe_1B_7B is another model") as caught:
        OlmoeConfig.from_file(tmp_path / "config.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [{}, {"model": "olmoe"}, {"model": {}}, {"_CLASS_": None, "model": [1]}])
def test_what_names_no_model_is_not_olmo_cores(given):
    with pytest.raises(ModelError, match="names nothing: only OlmoeForCausalLM"):
        OlmoeConfig.from_dict(given)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "holds no JSON object"),
        ("\xff", "cannot be read"),
        (None, r"holds no config\.json"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=message) as caught:
        OlmoeConfig.from_file(tmp_path / "config.json")
    assert str(tmp_path) in str(caught.value)
