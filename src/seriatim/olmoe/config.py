"""The shape of an OLMoE model, as its `config.json` gives it."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from seriatim.errors import ModelError

# Fields that published configs carry and that change nothing in what the model computes.
_IGNORED = {
    "_name_or_path",
    "architectures",
    "attention_dropout",  # checked to be 0
    "attention_bias",  # checked to be false
    "dtype",
    "head_dim",  # checked to be hidden_size / num_attention_heads
    "hidden_act",  # checked to be silu
    "model_type",
    "output_router_logits",
    "rope_parameters",  # its rope_theta is read
    "rope_scaling",  # checked to be null
    "torch_dtype",
    "transformers_version",
    "use_cache",
}

_SHAPING = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "num_experts",
    "num_experts_per_tok",
    "max_position_embeddings",
)
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "an object",
}
_POSITIVE = (*_SHAPING, "rms_norm_eps", "rope_theta", "clip_qkv")
_TOKENS = ("eos_token_id", "pad_token_id", "bos_token_id")
# Fields with one value that this model computes with; any other would need code that OLMoE does not have.
_FIXED = {"attention_bias": False, "attention_dropout": 0.0, "hidden_act": "silu", "rope_scaling": None}


@dataclass(frozen=True, slots=True)
class OlmoeConfig:
    """What determines an OLMoE model. Names are those of `config.json`; there are no defaults for what shapes it.

    `intermediate_size` is the width of one expert. `clip_qkv` clamps queries, keys and values where it is set.
    Raises `ModelError` for values that no model can have.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    num_experts: int
    num_experts_per_tok: int
    max_position_embeddings: int
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    norm_topk_prob: bool = False
    clip_qkv: float | None = None
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02
    router_aux_loss_coef: float = 0.01
    eos_token_id: int | None = None
    pad_token_id: int | None = None
    bos_token_id: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field, getattr(self, field.name))
        for name in _POSITIVE:
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ModelError(f"the model's config says {name} = {getattr(self, name)}: it must be more than 0")
        for name in _TOKENS:
            if getattr(self, name) is not None and not 0 <= getattr(self, name) < self.vocab_size:
                raise ModelError(
                    f"the model's config says {name} = {getattr(self, name)}: it must be in the vocabulary, from 0 to "
                    f"{self.vocab_size - 1}"
                )
        _divides(self, "num_attention_heads", "hidden_size")
        _divides(self, "num_key_value_heads", "num_attention_heads")
        if self.head_dim % 2:
            raise ModelError(
                f"the model's config gives heads a width of {self.head_dim}: rotary embeddings need an even one"
            )
        if self.num_experts_per_tok > self.num_experts:
            raise ModelError(
                f"the model's config uses {self.num_experts_per_tok} experts a token and has {self.num_experts}"
            )

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def key_value_size(self) -> int:
        """The width of all keys, or all values, of one token."""
        return self.num_key_value_heads * self.head_dim

    @property
    def total_parameters(self) -> int:
        """Every weight of the model."""
        return self._parameters(self.num_experts)

    @property
    def active_parameters(self) -> int:
        """The weights that one token meets: `num_experts_per_tok` experts a layer, all else whole."""
        return self._parameters(self.num_experts_per_tok)

    def _parameters(self, experts: int) -> int:
        size, width = self.hidden_size, self.key_value_size
        attention = 2 * size * size + 2 * size * width + size + width
        mixture = self.num_experts * size + 3 * experts * size * self.intermediate_size
        embeddings = (1 if self.tie_word_embeddings else 2) * self.vocab_size * size
        return embeddings + size + self.num_hidden_layers * (attention + mixture + 2 * size)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "OlmoeConfig":
        """The config of a Hugging Face `config.json`. Warns of fields it does not know, by name.

        Raises `ModelError` for another architecture, a missing field, or a value that this model has no room for.
        """
        _check_architecture(given)
        known = {field.name: field for field in fields(cls)}
        values = {name: value for name, value in given.items() if name in known}
        rope = given.get("rope_parameters") or {}
        if "rope_theta" in rope:
            values["rope_theta"] = rope["rope_theta"]
        missing = sorted(name for name in _SHAPING if name not in values)
        if missing:
            raise ModelError(f"the model's config lacks {', '.join(missing)}")
        unknown = sorted(set(given) - set(known) - _IGNORED)
        if unknown:
            warnings.warn(f"the model's config has fields that are not known: {', '.join(unknown)}", stacklevel=2)
        config = cls(**{name: _plain(value, known[name]) for name, value in values.items()})
        if given.get("head_dim") not in (None, config.head_dim):
            raise ModelError(
                f"the model's config says head_dim = {given['head_dim']}: OLMoE's heads share the hidden size"
            )
        return config

    @classmethod
    def from_file(cls, path: Path) -> "OlmoeConfig":
        """The config in the file `path`."""
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"{path.parent} holds no {path.name}: it is no folder of a model") from error
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
        if not isinstance(given, dict):
            raise ModelError(f"{path} holds no JSON object")
        return cls.from_dict(given)

    def to_dict(self) -> dict[str, Any]:
        """What transformers reads as `config.json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        theta = values.pop("rope_theta")
        return {
            "architectures": ["OlmoeForCausalLM"],
            "model_type": "olmoe",
            **values,
            "attention_bias": False,
            "attention_dropout": 0.0,
            "hidden_act": "silu",
            # transformers up to 4 reads the first, from 5 on the second
            "rope_theta": theta,
            "rope_scaling": None,
            "rope_parameters": {"rope_type": "default", "rope_theta": theta},
            "use_cache": True,
        }


def _check_architecture(given: Mapping[str, Any]) -> None:
    if _of_olmo_core(given):
        raise ModelError(
            "this is a checkpoint of OLMo-core, whose olmoe_1B_7B is another model (post-norm, rope_theta 500000, "
            "epsilon 1e-6): only OlmoeForCausalLM (model_type olmoe) can be read"
        )
    for name, wanted in (("architectures", list), ("rope_parameters", dict)):
        if not isinstance(given.get(name) or wanted(), wanted):
            raise ModelError(f"the model's config says {name} = {given[name]!r}: it must be {_WORDS[wanted]}")
    kind, architectures = given.get("model_type"), given.get("architectures") or []
    if kind != "olmoe" or any(each != "OlmoeForCausalLM" for each in architectures):
        found = ", ".join(map(str, architectures)) or kind or "nothing"
        raise ModelError(f"the model's config names {found}: only OlmoeForCausalLM (model_type olmoe) can be read")
    for name, value in _FIXED.items():
        if given.get(name, value) != value:
            raise ModelError(f"the model's config says {name} = {given[name]!r}: OLMoE has {value!r}")
    rope_type = (given.get("rope_parameters") or {}).get("rope_type", "default")
    if rope_type != "default":
        raise ModelError(f"the model's config says rope_type = {rope_type!r}: OLMoE has 'default'")


def _of_olmo_core(given: Mapping[str, Any]) -> bool:
    """Whether a config is OLMo-core's own: it has sections, each with the name of its Python class."""
    if "model_type" in given or "architectures" in given:
        return False
    sections = [given, *(section for section in given.values() if isinstance(section, dict))]
    named = any(str(section.get("_CLASS_")).startswith("olmo_core.") for section in sections)
    return named or (isinstance(given.get("model"), dict) and "d_model" in given["model"])


def _check_type(field: Field[Any], value: object) -> None:
    kinds = get_args(field.type) or (field.type,)
    if float in kinds:
        kinds = (*kinds, int)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(_WORDS[kind] for kind in get_args(field.type) or (field.type,))
        raise ModelError(f"the model's config says {field.name} = {value!r}: it must be {wanted}")


def _plain(value: Any, field: Field[Any]) -> Any:
    """JSON may write a whole number as a float, and the end-of-text id as a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    whole = float not in (get_args(field.type) or (field.type,))
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _divides(config: OlmoeConfig, part: str, whole: str) -> None:
    if getattr(config, whole) % getattr(config, part):
        raise ModelError(
            f"the model's config says {whole} = {getattr(config, whole)} and {part} = {getattr(config, part)}: "
            "the second must divide the first"
        )


OLMOE_1B_7B = OlmoeConfig(
    vocab_size=50304,
    hidden_size=2048,
    intermediate_size=1024,
    num_hidden_layers=16,
    num_attention_heads=16,
    num_key_value_heads=16,
    num_experts=64,
    num_experts_per_tok=8,
    max_position_embeddings=4096,
    eos_token_id=50279,
    pad_token_id=1,
)
"""The published model's own config (allenai/OLMoE-1B-7B-0924)."""
