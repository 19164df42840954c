"""BERT-like sentence embedders (MiniLM, BGE) by ONNX Runtime, with int8 matrix products.

The published model computes in fp32. It is quantised once to per-channel int8 with dynamic activations and kept
beside its source: it loads and runs faster on AVX2, and its vectors stay close to the fp32 ones.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seriatim import machine
from seriatim.errors import ModelError
from seriatim.retrieval.embedders import unit
from seriatim.retrieval.lexical import idf

_BATCH = 4
_MOST_TOKENS = 256
_QUESTION_PREFIX = {"bge-small-en-v1.5": "Represent this sentence for searching relevant passages: "}
_POOLING: dict[str, Literal["mean", "first"]] = {"minilm": "mean", "bge-small-en-v1.5": "first"}


class OnnxEmbedder:
    """An embedder in `folder`, which holds `model.onnx` and `tokenizer.json`."""

    def __init__(self, name: str, folder: Path, *, threads: int | None = None) -> None:
        from tokenizers import Tokenizer

        self.name = name
        self._threads = threads or machine.threads()
        self._pooling = _POOLING.get(name, "mean")
        self._prefix = _QUESTION_PREFIX.get(name, "")
        self.reads_words = self._pooling == "mean"
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session = _session(quantized(folder / "model.onnx"))
        except Exception as error:  # both libraries raise plain Exception for a broken file
            raise ModelError(
                f"the embedder in {folder} cannot be loaded ({error}); remove that folder and pull it again"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MOST_TOKENS)
        self._inputs = {each.name for each in self._session.get_inputs()}

    def embed_passages(
        self, texts: Sequence[str], weights: Sequence[NDArray[np.float32]] | None = None
    ) -> NDArray[np.float32]:
        ids = [np.array(encoding.ids, dtype=np.int64) for encoding in self._encoded(texts)]
        if weights is None:
            shares = [np.ones(len(text), dtype=np.float32) for text in ids]
        else:
            shares = [weight[text] for weight, text in zip(weights, ids, strict=True)]
        # Texts of like length share a batch, so that next to nothing is spent on padding. Each batch runs on one
        # thread, several at once: that beats several threads on one batch.
        order = np.argsort([len(text) for text in ids], kind="stable")
        batches = [order[first : first + _BATCH] for first in range(0, len(order), _BATCH)]
        with ThreadPoolExecutor(self._threads) as pool:
            done = list(pool.map(lambda batch: self._run([ids[i] for i in batch], [shares[i] for i in batch]), batches))
        vectors = np.zeros((len(texts), done[0].shape[1] if done else 0), dtype=np.float32)
        for batch, rows in zip(batches, done, strict=True):
            vectors[batch] = rows
        return vectors

    def embed_question(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embed_passages([self._prefix + text])[0]
        return vector

    def rarity(self, texts: Sequence[str]) -> NDArray[np.float32]:
        holding = np.zeros(self._tokenizer.get_vocab_size(), dtype=np.int64)
        for encoding in self._encoded(texts):
            holding[np.unique(encoding.ids)] += 1
        return np.array([idf(count, len(texts)) for count in range(len(texts) + 1)], dtype=np.float32)[holding]

    def embed_words(self, text: str) -> list[tuple[str, NDArray[np.float32]]]:
        [encoding] = self._encoded([self._prefix + text])
        hidden = unit(self._hidden([np.array(encoding.ids, dtype=np.int64)])[0])
        normalized = " ".join((self._prefix + text).split())
        words: dict[int, str] = {}
        for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
            if word is not None:
                words[word] = words.get(word, "") + normalized[start:end]
        return [
            (words[word], vector) for word, vector in zip(encoding.word_ids, hidden, strict=True) if word is not None
        ]

    def _encoded(self, texts: Sequence[str]) -> list[Any]:
        encodings: list[Any] = self._tokenizer.encode_batch([" ".join(text.split()) for text in texts])
        return encodings

    def _run(self, batch: Sequence[NDArray[np.int64]], shares: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """The unit vectors of one batch of token ids, [len(batch), dimension], of which each counts its share."""
        hidden = self._hidden(batch)
        if self._pooling == "first":
            return unit(hidden[:, 0])
        pooled = [share @ states[: len(share)] for share, states in zip(shares, hidden, strict=True)]
        return unit(np.array(pooled, dtype=np.float32))

    def _hidden(self, batch: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """The last hidden states of one batch of token ids, [len(batch), the most tokens, dimension]."""
        longest = max(len(ids) for ids in batch)
        input_ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        feed = {"input_ids": input_ids, "attention_mask": mask, "token_type_ids": np.zeros_like(input_ids)}
        hidden: NDArray[np.float32] = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        return hidden


def quantized(model: Path) -> Path:
    """The int8 form of `model`, made beside it on first use; `model` itself where its folder cannot be written."""
    int8 = model.with_suffix(".int8.onnx")
    if int8.exists():
        return int8
    if not os.access(model.parent, os.W_OK):
        return model
    import logging

    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    fused = model.with_suffix(f".{os.getpid()}.fused.onnx")
    made = model.with_suffix(f".{os.getpid()}.int8.part")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(fused)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    level = logging.root.level
    try:
        onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        # The quantiser advises pre-processing on the root logger; the fused graph is pre-processed already.
        logging.root.setLevel(logging.ERROR)
        quantize_dynamic(
            fused,
            made,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,  # AVX2 adds pairs of products in 16 bits, which full-range weights overflow
            weight_type=QuantType.QInt8,
        )
        os.replace(made, int8)
    finally:
        logging.root.setLevel(level)
        fused.unlink(missing_ok=True)
        made.unlink(missing_ok=True)
    return int8


def _session(model: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
