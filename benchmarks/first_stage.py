"""The first stage alone, in memory: milliseconds a question and memory, by number of passages.

The library holds copies of the given books under different names, their vectors perturbed so that no two passages tie.

    python benchmarks/first_stage.py BOOK.txt … --passages 100000 1000000 --out benchmarks/results/first_stage.json
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from machine import machine
from seriatim.documents.passages import cut
from seriatim.documents.reading import parse
from seriatim.retrieval import lexical, static
from seriatim.retrieval.first_stage import FirstStage
from seriatim.retrieval.ranking import rank_fast
from seriatim.retrieval.store import Indexed, Store

QUESTIONS = (
    "What does Queequeg's coffin become after he recovers?",
    "Who is the captain of the ship that lost a boat with his son?",
    "How many barrels of oil were stowed in the hold?",
    "Where did the Count keep his boxes of earth in London?",
    "What did the old sailor say about the white whale's jaw?",
    "Which solicitor travelled to the castle at the beginning?",
    "When was the harpoon forged, and in whose blood was it tempered?",
    "What colour was the doubloon nailed to the mast?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", nargs="+", type=Path)
    parser.add_argument("--passages", nargs="+", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(_measure(options.measure, options.repeats)))
        return
    results = []
    for count in options.passages:
        with tempfile.TemporaryDirectory() as folder:
            _fill(Path(folder), options.books, count)
            # A process of its own, so that its peak memory is the search's and not the filling's.
            command = [sys.executable, __file__, *map(str, options.books), "--measure", folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout))
        print(json.dumps(results[-1]))
    if options.out:
        summary = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "results": results}
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


def _fill(folder: Path, books: list[Path], count: int) -> None:
    indexed = []
    for book in books:
        document = parse(str(book), book.read_bytes())
        pieces = cut(document)
        lists, lengths = lexical.postings([passage.text for passage in pieces.passages])
        indexed.append(Indexed(document, pieces.passages, static.embed_ids(pieces.token_ids), lists, lengths))
    store = Store(folder)
    generator = np.random.default_rng(0)
    held = copy = 0
    while held < count:
        each = indexed[copy % len(indexed)]
        noise = generator.normal(0, 0.01, each.vectors.shape).astype(np.float32)
        named = replace(each.document, name=f"copy-{copy}")
        store.put(replace(each, document=named, vectors=each.vectors + noise))
        held, copy = held + len(each.passages), copy + 1
    store.close()


def _measure(folder: Path, repeats: int) -> dict[str, object]:
    store = Store(folder)
    static.embed(["warm"]), lexical.terms("warm")
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew here
    started = time.perf_counter()
    stage = FirstStage(store, store.documents())
    load_s = time.perf_counter() - started
    times = []
    for _ in range(repeats):
        for question in QUESTIONS:
            started = time.perf_counter()
            rank_fast(stage, question)
            times.append(1000 * (time.perf_counter() - started))
    grown = _memory("VmHWM") - before
    vectors = len(stage) * static.DIMENSION * 4
    return {
        "passages": len(stage), "questions": len(times), "median_ms": statistics.median(times),
        "p90_ms": sorted(times)[int(0.9 * len(times))], "load_s": load_s, "vectors_bytes": vectors,
        "memory_bytes": grown, "memory_over_vectors": grown / vectors,
    }  # fmt: skip


def _memory(field: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
