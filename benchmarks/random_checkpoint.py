"""Write a randomly initialised OLMoE checkpoint: for measuring speed and memory, which do not depend on the values.

    python benchmarks/random_checkpoint.py FOLDER [--tokenizer TOKENIZER.json]

writes the full model (6,919,161,856 parameters, 13.8 GB in bfloat16). Without a tokenizer, one of plain bytes goes in,
padded to the model's vocabulary, so that the model can be asked, and answers nonsense.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from seriatim.olmoe.config import OLMOE_1B_7B, OlmoeConfig
from seriatim.olmoe.names import table
from seriatim.olmoe.saving import write_checkpoint


class RandomWeights:
    """A `Source` of weights drawn from a normal distribution, each tensor from its own seed."""

    def __init__(self, config: OlmoeConfig, seed: int = 0) -> None:
        self.config = config
        self._shapes = {name: row.shape for name, row in table(config).items()}
        self._seeds = {name: seed + place for place, name in enumerate(self._shapes)}

    def dtype(self, name: str) -> torch.dtype:  # noqa: ARG002 - all are alike
        return torch.bfloat16

    def tensor(self, name: str) -> torch.Tensor:
        shape = self._shapes[name]
        if len(shape) == 1:
            return torch.ones(shape, dtype=torch.bfloat16)
        random = torch.Generator().manual_seed(self._seeds[name])
        return torch.empty(shape).normal_(std=self.config.initializer_range, generator=random).bfloat16()


def byte_tokenizer(vocab_size: int) -> str:
    """A tokenizer with a token for each byte, and as many unused ones as fill the vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<|unused|>", "<|padding|>", *alphabet]
    names += [f"<|unused{number}|>" for number in range(len(names), vocab_size)]
    names[OLMOE_1B_7B.eos_token_id or 0] = "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|padding|>"])
    return tokenizer.to_str()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    def add_tokenizer(folder: Path) -> None:
        if options.tokenizer:
            shutil.copyfile(options.tokenizer, folder / "tokenizer.json")
        else:
            (folder / "tokenizer.json").write_text(byte_tokenizer(OLMOE_1B_7B.vocab_size), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}), encoding="utf-8")

    write_checkpoint(
        RandomWeights(OLMOE_1B_7B, options.seed),
        options.folder,
        companions=add_tokenizer,
        progress=lambda done, total: print(f"\r{done}/{total} tensors", end="", flush=True),
    )
    print()


if __name__ == "__main__":
    main()
