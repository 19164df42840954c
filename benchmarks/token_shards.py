"""Tokens a second from texts to token shards, by one process and by two.

The corpus is the files named, `--copies` times over, a paragraph group a row of JSONL. `threads` says whether the
tokenizer may use all cores within a process, which it may only where a process is alone. Repeats take turns, so that a
busy moment of the machine falls on all alike; that the shards are the same is checked. Seconds of processor time stand
beside those of the clock, which count what else the machine has to do.

    python benchmarks/token_shards.py BOOK.txt … --tokenizer tokenizer.json --out benchmarks/results/token_shards.json
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from machine import machine
from seriatim.training.data import shards, vocabulary

KINDS = ((1, False), (1, True), (2, False))
"""Processes, and whether the tokenizer may use threads."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        corpus.write_text("".join(_rows(options.files)) * options.copies, encoding="utf-8")
        runs = [(kind, *_run(corpus, options.tokenizer, *kind)) for _ in range(options.repeats) for kind in KINDS]
        size = corpus.stat().st_size
    if len({sums for *_, sums in runs}) != 1:
        raise SystemExit("the shards differ")
    results = []
    for kind in KINDS:
        seconds = [each for made, each, *_ in runs if made == kind]
        processor = statistics.median(each for made, _, each, *_ in runs if made == kind)
        tokens = runs[0][3]
        results.append(
            {
                "processes": kind[0], "threads": kind[1], "tokens": tokens, "n": len(seconds),
                "seconds_median": statistics.median(seconds), "seconds_least": min(seconds),
                "seconds_most": max(seconds), "tokens_per_second": tokens / statistics.median(seconds),
                "processor_seconds_median": processor, "tokens_per_processor_second": tokens / processor,
            }
        )  # fmt: skip
        print(json.dumps(results[-1]), flush=True)
    if options.out:
        summary = {
            "command": " ".join(["python", *sys.argv]), "machine": machine(), "load_before": load,
            "corpus_bytes": size, "results": results,
        }  # fmt: skip
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


def _rows(files: list[Path]) -> list[str]:
    rows = []
    for file in files:
        paragraphs = iter(file.read_text(encoding="utf-8").split("\n\n"))
        while group := list(islice(paragraphs, 20)):
            rows.append(json.dumps({"text": "\n\n".join(group)}) + "\n")
    return rows


def _run(corpus: Path, tokenizer: Path, processes: int, threads: bool) -> tuple[float, float, int, tuple[str, ...]]:
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads else "false"
    with tempfile.TemporaryDirectory() as folder:
        started, before = time.perf_counter(), sum(os.times()[:4])
        held = shards.write([corpus], Path(folder) / "data", vocabulary.existing(tokenizer), workers=processes)
        seconds = time.perf_counter() - started
        processor = sum(os.times()[:4]) - before
        tokens = sum(shard.tokens for shard in held.shards)
        return seconds, processor, tokens, tuple(shard.sha256 for shard in held.shards)


if __name__ == "__main__":
    main()
