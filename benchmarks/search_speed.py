"""Seconds from the shell to the passages: a book never seen before, and the same search again; LlamaIndex with MiniLM
beside it.

Every figure is a whole process, imports included. The embedder is fetched and prepared before anything is timed. The
peer splits into 128 tokens without overlap, embeds every passage by the same MiniLM in fp32 (ONNX Runtime, all cores)
and retrieves 20; it is run once by default, for it takes minutes.

    pip install '.[bench]' && python benchmarks/search_speed.py BOOK.txt --out benchmarks/results/search_speed.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

QUESTION = "What does Queequeg's coffin become after he recovers?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("book", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-repeats", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    book = str(options.book.resolve())
    _seconds(["model", "pull", "minilm"])
    with tempfile.TemporaryDirectory() as folder:
        _search(book, Path(folder), "balanced")  # makes the int8 model and fills the file cache
    results: dict[str, object] = {}
    for effort in ("fast", "balanced"):
        cold, again = [], []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                cold.append(_search(book, Path(folder), effort))
                again += [_search(book, Path(folder), effort) for _ in range(3)]
        results[f"{effort}_cold_s"] = _spread(cold)
        results[f"{effort}_again_s"] = _spread(again)
    peer = [_peer(book) for _ in range(options.peer_repeats)]
    for part in ("import_s", "index_s", "query_s", "total_s"):
        results[f"llama_index_{part}"] = _spread([each[part] for each in peer])
    summary = {
        "command": " ".join(["python", *sys.argv]),
        "machine": machine(),
        "question": QUESTION,
        "results": results,
    }
    print(json.dumps(results, indent=1))
    if options.out:
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


def _search(book: str, library: Path, effort: str) -> float:
    return _seconds(["search", QUESTION, "--in", book, "--library", str(library), "--effort", effort, "--json"])


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "seriatim", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "n": len(values)}


_PEER = """
import json, sys, time
started = time.perf_counter()
import numpy as np
import onnxruntime
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import TokenTextSplitter
from tokenizers import Tokenizer

class MiniLM(BaseEmbedding):
    def _embed(self, texts):
        encodings = tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encodings]); mask = np.array([e.attention_mask for e in encodings])
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, feed)[0]
        means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).tolist()
    def _get_text_embeddings(self, texts): return self._embed(texts)
    def _get_text_embedding(self, text): return self._embed([text])[0]
    def _get_query_embedding(self, text): return self._embed([text])[0]
    async def _aget_query_embedding(self, text): return self._embed([text])[0]

book, folder, question = sys.argv[1:]
imported = time.perf_counter()
tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
tokenizer.enable_padding(); tokenizer.enable_truncation(256)
session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
splitter = TokenTextSplitter(chunk_size=128, chunk_overlap=0, tokenizer=lambda text: tokenizer.encode(text).ids)
text = open(book, encoding="utf-8-sig").read()
embedder = MiniLM(embed_batch_size=16)
index = VectorStoreIndex.from_documents([Document(text=text)], transformations=[splitter], embed_model=embedder)
indexed = time.perf_counter()
index.as_retriever(similarity_top_k=20).retrieve(question)
done = time.perf_counter()
print(json.dumps({"import_s": imported - started, "index_s": indexed - imported, "query_s": done - indexed}))
"""


def _peer(book: str) -> dict[str, float]:
    from seriatim.models.catalog import MODELS

    started = time.perf_counter()
    command = [sys.executable, "-c", _PEER, book, str(MODELS["minilm"].folder), QUESTION]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "TQDM_DISABLE": "1"})
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**parts, "total_s": time.perf_counter() - started}


if __name__ == "__main__":
    main()
