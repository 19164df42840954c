"""What the folder of an OLMoE checkpoint, or of an int8 model, holds: read from headers alone, without PyTorch."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seriatim.errors import ModelError
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.names import table

# What the tensors of each part are called, in checkpoints and in int8 models.
_PARTS = {
    "embeddings": ("embed_tokens", "embedding"),
    "attention": ("self_attn.", "qkv", "output"),
    "router": ("mlp.gate.", "router"),
    "experts": ("mlp.experts.", "gate_up", "down"),
    "head": ("lm_head", "head"),
    "norms": ("norm",),
}
_INT8 = "int8.json"
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "U8": "int8"}
_ITEMSIZES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a folder holds. `parts` are bytes; where weights are missing, what they will take by the config.

    `missing` names the weights' files that are not here, or, where no file tells, what kind of file is needed.
    """

    path: Path
    architecture: str
    parameters: int
    active_parameters: int  # the parameters that one token meets
    parts: Mapping[str, int]
    dtype: str
    file_bytes: int
    context_tokens: int
    layers: int
    heads: int
    experts: int
    experts_used: int
    vocabulary: int
    tokenizer: bool
    missing: tuple[str, ...]


def inspect(folder: str | Path) -> CheckpointInfo:
    """Read a folder's config and headers. Raises `ModelError` for one that holds no OLMoE model, or a damaged one."""
    folder = Path(folder).expanduser()
    config = OlmoeConfig.from_file(folder / "config.json")
    files, missing = _files(folder)
    stored: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    for file in files:
        for name, dtype, size in _tensors(file):
            stored[_part(name)] += size
            dtypes[dtype] += size
    dtype = "int8" if (folder / _INT8).is_file() else dtypes.most_common(1)[0][0] if dtypes else _stated_dtype(folder)
    parts = _expected(config, _ITEMSIZES.get(dtype, 1)) if missing else stored
    return CheckpointInfo(
        path=folder,
        architecture="olmoe",
        parameters=config.total_parameters,
        active_parameters=config.active_parameters,
        parts={part: parts[part] for part in _PARTS},
        dtype=dtype,
        file_bytes=sum(file.stat().st_size for file in files),
        context_tokens=config.max_position_embeddings,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        experts=config.num_experts,
        experts_used=config.num_experts_per_tok,
        vocabulary=config.vocab_size,
        tokenizer=(folder / "tokenizer.json").is_file(),
        missing=missing,
    )


def _files(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The files with weights that are here, and the names of those that should be and are not."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"], ()
    for listing, key in ((_INT8, "files"), ("model.safetensors.index.json", "weight_map")):
        if (folder / listing).is_file():
            listed = _json(folder / listing).get(key)
            if not isinstance(listed, dict):
                raise ModelError(f"{folder / listing} is damaged: it names no files; fetch or pack it again")
            names = sorted(set(listed if key == "files" else listed.values()))
            here = [folder / name for name in names if (folder / name).is_file()]
            return here, tuple(name for name in names if not (folder / name).is_file())
    return [], ("model.safetensors",)


def _tensors(file: Path) -> Iterator[tuple[str, str, int]]:
    """Name, type and bytes of each tensor in a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np"):  # checks the header, and the file's length against it
            pass
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} is damaged or incomplete ({error}): fetch it again") from error
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    for name, tensor in header.items():
        if name != "__metadata__":
            start, end = tensor["data_offsets"]
            yield name, _DTYPES.get(tensor["dtype"], tensor["dtype"]), end - start


def _part(name: str) -> str:
    """Which part a tensor belongs to; attention has norms of its own."""
    if "norm" in name:
        return "norms"
    return next((part for part, words in _PARTS.items() if any(word in name for word in words)), "other")


def _expected(config: OlmoeConfig, itemsize: int) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for row in table(config).values():
        sizes[_part(row.name)] += row.elements * itemsize
    return sizes


def _stated_dtype(folder: Path) -> str:
    config = _json(folder / "config.json")
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object")
    return value
