"""The int8 form of a model on disk: a folder that is mapped into memory rather than read.

`int8.json` names the format, the source and each file's size; `ends.safetensors` and `layer-NN.safetensors` hold the
tensors.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seriatim.errors import ModelError
from seriatim.olmoe.checkpoint import CONFIG_FILE, DTYPES, Checkpoint
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.int8.weights import (
    MATRICES,
    Ends,
    Layer,
    Quantised,
    check_sizes,
    end_shapes,
    gate_with_up,
    layer_shapes,
    padded,
    panel_shape,
    quantise,
)
from seriatim.olmoe.listing import INT8_FILE
from seriatim.olmoe.output import written_whole
from seriatim.olmoe.saving import companions
from seriatim.olmoe.tensor_file import Piece, write_tensors

_ENDS = "ends.safetensors"
_FORMAT = 1
_AGAIN = "pack the model again from its checkpoint"

Progress = Callable[[int, int], None]
"""Called with the layers that are done, and how many there are."""

_Part = TypeVar("_Part", Ends[Quantised], Layer[Quantised])


def pack(checkpoint: Checkpoint, folder: Path, *, progress: Progress | None = None) -> None:
    """Write the int8 form of `checkpoint` as a new folder, layer by layer; memory holds one layer at a time.

    Raises `ModelError` where `folder` holds something, where the disk is full, and where the model's sizes do not fit.
    """
    config, source = checkpoint.config, fingerprint(checkpoint)
    check_sizes(config)
    with written_whole(Path(folder), config.total_parameters) as fresh:
        fresh.mkdir()
        sizes = {_ENDS: _write(fresh / _ENDS, _ends(checkpoint))}
        for number in range(config.num_hidden_layers):
            sizes[_layer_file(number)] = _write(fresh / _layer_file(number), _layer(checkpoint, number))
            if progress:
                progress(number + 1, config.num_hidden_layers)
        companions(checkpoint.path)(fresh)
        shutil.copyfile(checkpoint.path / CONFIG_FILE, fresh / CONFIG_FILE)
        if fingerprint(checkpoint) != source:
            raise ModelError(f"{checkpoint.path} changed while it was packed: try again when it is whole")
        manifest = {"format": _FORMAT, "source": source, "files": sizes}
        (fresh / INT8_FILE).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def fingerprint(checkpoint: Checkpoint) -> list[list[Any]]:
    """What tells one state of a checkpoint from another: its files' names, sizes and times of change."""
    files = [checkpoint.path / CONFIG_FILE, *checkpoint.files]
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def packed_from(folder: Path) -> list[list[Any]] | None:
    """The fingerprint of the checkpoint that `folder` was packed from; None where it is no whole int8 model."""
    try:
        return _manifest(folder)["source"]
    except ModelError:
        return None


def read(folder: Path) -> tuple[OlmoeConfig, Ends[Quantised], list[Layer[Quantised]]]:
    """The model in `folder`, mapped: a tensor is read from disk where it is first used.

    Raises `ModelError` for a folder that is damaged or of another version, naming the file.
    """
    _manifest(folder)
    config = OlmoeConfig.from_file(folder / CONFIG_FILE)
    check_sizes(config)
    ends = _read(folder / _ENDS, Ends, end_shapes(config))
    layers = [
        _read(folder / _layer_file(number), Layer, layer_shapes(config)) for number in range(config.num_hidden_layers)
    ]
    return config, ends, layers


def _layer_file(number: int) -> str:
    return f"layer-{number:02}.safetensors"


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / INT8_FILE).read_text(encoding="utf-8"))
        if manifest["format"] != _FORMAT:
            raise ModelError(f"{folder} holds an int8 model of another version of Seriatim: {_AGAIN}")
        for name, size in manifest["files"].items():
            if (folder / name).stat().st_size != size:
                raise ModelError(f"{folder / name} is cut short or was changed: {_AGAIN}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder} holds no whole int8 model ({error}): {_AGAIN}") from error
    return manifest


def _ends(checkpoint: Checkpoint) -> Ends[Quantised]:
    embedding = checkpoint.tensor("model.embed_tokens.weight")
    head = embedding if checkpoint.config.tie_word_embeddings else checkpoint.tensor("lm_head.weight")
    return Ends(embedding, checkpoint.tensor("model.norm.weight").float(), quantise(padded(head)))


def _layer(checkpoint: Checkpoint, number: int) -> Layer[Quantised]:
    def tensor(name: str) -> Tensor:
        return checkpoint.tensor(f"model.layers.{number}.{name}")

    return Layer(
        input_norm=tensor("input_layernorm.weight").float(),
        qkv=quantise(torch.cat([tensor(f"self_attn.{each}_proj.weight") for each in "qkv"])),
        q_norm=tensor("self_attn.q_norm.weight").float(),
        k_norm=tensor("self_attn.k_norm.weight").float(),
        output=quantise(tensor("self_attn.o_proj.weight")),
        post_norm=tensor("post_attention_layernorm.weight").float(),
        router=tensor("mlp.gate.weight").float(),
        gate_up=_stacked(gate_with_up(tensor("mlp.experts.gate_up_proj"))),
        down=_stacked(tensor("mlp.experts.down_proj")),
    )


def _stacked(weights: Tensor) -> Quantised:
    """`weights` [E, N, K] quantised one expert at a time: their float32 form would take four times the memory."""
    each = [quantise(weight) for weight in weights]
    return Quantised(torch.stack([one.panels for one in each]), torch.stack([one.scales for one in each]))


def _tensors(part: Ends[Quantised] | Layer[Quantised]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, Quantised):
            tensors |= {f"{field.name}.panels": value.panels, f"{field.name}.scales": value.scales}
        else:
            tensors[field.name] = value
    return tensors


def _write(path: Path, part: Ends[Quantised] | Layer[Quantised]) -> int:
    tensors = _tensors(part)
    pieces = [Piece(name, tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()]
    return write_tensors(path, pieces, tensors.values())


def _read(path: Path, kind: type[_Part], shapes: dict[str, tuple[int, ...]]) -> _Part:
    """The tensors of a file; the kernels take their types and shapes on trust, so they are checked here."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is damaged ({error}): {_AGAIN}") from error

    def tensor(name: str, shape: tuple[int, ...], *types: torch.dtype) -> Tensor:
        found = tensors.get(name)
        if found is None or tuple(found.shape) != shape or found.dtype not in types:
            raise ModelError(f"{path} does not hold {name!r} as its {CONFIG_FILE} calls for: {_AGAIN}")
        return found

    values: dict[str, Any] = {}
    for name, shape in shapes.items():
        if name in MATRICES:
            values[name] = Quantised(
                tensor(f"{name}.panels", panel_shape(shape), torch.uint8),
                tensor(f"{name}.scales", shape[:-1], torch.float32),
            )
        else:
            types = DTYPES.values() if name == "embedding" else [torch.float32]
            values[name] = tensor(name, shape, *types)
    return kind(**values)
