"""OLMoE-1B-7B, the open mixture-of-experts model: exactly as published, and fast on a CPU.

>>> from seriatim import olmoe
>>> model = olmoe.load("OLMoE-1B-7B-0125-Instruct", dtype="int8")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seriatim.olmoe.config import OLMOE_1B_7B, OlmoeConfig
    from seriatim.olmoe.convert import to_gguf, to_hf
    from seriatim.olmoe.interface import OlmoeModel
    from seriatim.olmoe.loading import load
    from seriatim.olmoe.model import Olmoe
    from seriatim.olmoe.saving import save
    from seriatim.olmoe.tokenizer import Tokenizer

__all__ = ["OLMOE_1B_7B", "Olmoe", "OlmoeConfig", "OlmoeModel", "Tokenizer", "load", "save", "to_gguf", "to_hf"]

_HOMES = {
    "OLMOE_1B_7B": "config",
    "Olmoe": "model",
    "OlmoeConfig": "config",
    "OlmoeModel": "interface",
    "Tokenizer": "tokenizer",
    "load": "loading",
    "save": "saving",
    "to_gguf": "convert",
    "to_hf": "convert",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
