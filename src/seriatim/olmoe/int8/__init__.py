"""OLMoE in int8: a quarter of float32's memory, and prompts read several times as fast."""

import hashlib
import shutil
from pathlib import Path

import torch

from seriatim.errors import ModelError
from seriatim.home import home
from seriatim.olmoe.checkpoint import INT8_FILE, Checkpoint
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.int8.engine import Int8Olmoe
from seriatim.olmoe.int8.files import Progress, fingerprint, pack, packed_from, read
from seriatim.olmoe.int8.kernels import kernels
from seriatim.olmoe.int8.portable import Portable
from seriatim.olmoe.int8.weights import PANEL, Ends, Layer, Quantised, check_sizes

__all__ = ["Int8Olmoe", "load", "pack", "random_model"]


def load(path: str | Path, *, progress: Progress | None = None) -> Int8Olmoe:
    """The int8 model in the folder `path`: an int8 one, or a Hugging Face checkpoint.

    A checkpoint is packed first, into Seriatim's home, unless that was done before and the checkpoint is the same
    still. Raises `ModelError` for what is neither, or is damaged.
    """
    folder = Path(path).expanduser()
    if not (folder / INT8_FILE).is_file():
        folder = packed(Checkpoint(folder), progress)
    return Int8Olmoe(*read(folder), kernels() or Portable())


def packed(checkpoint: Checkpoint, progress: Progress | None) -> Path:
    """The folder in Seriatim's home with the int8 form of `checkpoint` as it is now."""
    folder = home() / "int8" / hashlib.sha256(str(checkpoint.path.resolve()).encode()).hexdigest()[:16]
    source = fingerprint(checkpoint)
    if packed_from(folder) != source:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            pack(checkpoint, folder, progress=progress)
        except ModelError:
            if packed_from(folder) != source:  # else another process packed it meanwhile
                raise
    return folder


def random_model(config: OlmoeConfig, seed: int = 0) -> Int8Olmoe:
    """An int8 model with random weights, for measuring."""
    check_sizes(config)
    random = torch.Generator().manual_seed(seed)

    def matrix(*shape: int) -> Quantised:
        *stack, channels, inputs = shape
        panels = torch.empty(*stack, channels // PANEL, inputs // 4, PANEL, 4, dtype=torch.uint8)
        panels.view(-1).view(torch.int64).random_(generator=random)
        # A uniform byte deviates by 73, and trained weights by initializer_range at first.
        return Quantised(panels, torch.full((*stack, channels), config.initializer_range / 73))

    def layer() -> Layer[Quantised]:
        size, width, experts = config.hidden_size, config.key_value_size, config.num_experts
        return Layer(
            input_norm=torch.ones(size),
            qkv=matrix(size + 2 * width, size),
            q_norm=torch.ones(size),
            k_norm=torch.ones(width),
            output=matrix(size, size),
            post_norm=torch.ones(size),
            router=torch.randn(experts, size, generator=random) * config.initializer_range,
            gate_up=matrix(experts, 2 * config.intermediate_size, size),
            down=matrix(experts, size, config.intermediate_size),
        )

    embedding = torch.empty(config.vocab_size, config.hidden_size, dtype=torch.bfloat16)
    embedding.normal_(std=config.initializer_range, generator=random)
    head = matrix(-(-config.vocab_size // PANEL) * PANEL, config.hidden_size)
    ends = Ends(embedding, torch.ones(config.hidden_size), head)
    return Int8Olmoe(config, ends, [layer() for _ in range(config.num_hidden_layers)], kernels() or Portable())
