"""Passages a second of the dense embedder: MiniLM quantised to int8, as the second stage runs it, beside the published
fp32 model, and how near the vectors stay.

Passages of a book, drawn with a seed; every arm embeds the same ones in each repeat. "fp32" is the same code on the
published model; "fp32, one batch on all cores" is how ONNX Runtime is used by default, in batches of 16.

    python benchmarks/embedder.py BOOK.txt --out benchmarks/results/embedder.json
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from machine import machine
from seriatim.documents.passages import cut
from seriatim.documents.reading import parse
from seriatim.models.catalog import MODELS
from seriatim.models.download import pull
from seriatim.retrieval.onnx_embedder import OnnxEmbedder

Embed = Callable[[list[str]], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("book", type=Path)
    parser.add_argument("--passages", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    texts = [passage.text for passage in cut(parse(str(options.book), options.book.read_bytes())).passages]
    texts = random.Random(options.seed).sample(texts, options.passages)
    folder = pull(MODELS["minilm"])
    arms: dict[str, Embed] = {
        "int8": OnnxEmbedder("minilm", folder).embed_passages,
        "fp32": _published(folder).embed_passages,
        "fp32, one batch on all cores": _batches_on_all_cores(folder),
    }
    vectors = {arm: embed(texts) for arm, embed in arms.items()}
    rates: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(options.repeats):
        for arm, embed in arms.items():
            started = time.perf_counter()
            embed(texts)
            rates[arm].append(len(texts) / (time.perf_counter() - started))
    cosines = (vectors["int8"] * vectors["fp32"]).sum(axis=1)
    results = {
        "passages": len(texts),
        "passages_per_second": {
            arm: {"median": statistics.median(each), "least": min(each), "most": max(each), "n": len(each)}
            for arm, each in rates.items()
        },
        "cosine_int8_fp32": {"mean": float(cosines.mean()), "least": float(cosines.min())},
    }
    print(json.dumps(results, indent=1))
    if options.out:
        summary = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "results": results}
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


def _published(folder: Path) -> OnnxEmbedder:
    """The fp32 model in the same code: in a copy of the folder where the published file stands for the int8 one."""
    copy = Path(tempfile.mkdtemp())
    (copy / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    for name in ("model.onnx", "model.int8.onnx"):
        (copy / name).write_bytes((folder / "model.onnx").read_bytes())
    return OnnxEmbedder("minilm", copy)


def _batches_on_all_cores(folder: Path) -> Embed:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(256)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])

    def embed(texts: list[str]) -> np.ndarray:
        parts = []
        for first in range(0, len(texts), 16):
            encodings = tokenizer.encode_batch([" ".join(text.split()) for text in texts[first : first + 16]])
            ids = np.array([encoding.ids for encoding in encodings])
            mask = np.array([encoding.attention_mask for encoding in encodings])
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            parts.append((session.run(None, feed)[0] * mask[..., None]).sum(axis=1))
        vectors = np.concatenate(parts)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return embed


if __name__ == "__main__":
    main()
