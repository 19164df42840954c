"""What the folder of an OLMoE checkpoint, or of an int8 model, holds: read from headers alone, without PyTorch."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.listing import DTYPES, INT8_FILE, header, itemsize, listing
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
    files, missing, _ = listing(folder)
    stored: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    for file in files:
        for name, tensor in header(file):
            stored[_part(name)] += tensor.nbytes
            dtypes[DTYPES.get(tensor.dtype, tensor.dtype)] += tensor.nbytes
    dtype = dtypes.most_common(1)[0][0] if dtypes else _stated_dtype(folder)
    if (folder / INT8_FILE).is_file():
        dtype = "int8"
    parts = _expected(config, itemsize(dtype)) if missing else stored
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
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")
