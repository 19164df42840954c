"""Tokens a second from file to searchable: read, parsed, cut, embedded by static vectors, indexed, written, synced.

Each file goes into an empty library in each repeat; the first one, which also loads the tokenizer and its vectors, is
reported apart. Tokens are those that passages are measured in.

    python benchmarks/ingestion.py BOOK.txt BOOK.pdf … --out benchmarks/results/ingestion.json
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from seriatim.retrieval.library import Library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    first_s, _ = _add(options.files[0])
    results = []
    for file in options.files:
        runs = [_add(file) for _ in range(options.repeats)]
        seconds, tokens = statistics.median(seconds for seconds, _ in runs), runs[0][1]
        results.append(
            {
                "file": file.name, "tokens": tokens, "seconds_median": seconds,
                "seconds_least": min(runs)[0], "seconds_most": max(runs)[0], "n": len(runs),
                "tokens_per_second": tokens / seconds,
            }
        )  # fmt: skip
        print(json.dumps(results[-1]), flush=True)
    if options.out:
        summary = {
            "command": " ".join(["python", *sys.argv]), "machine": machine(),
            "results": results, "first_file_with_loading_s": first_s,
        }  # fmt: skip
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


def _add(file: Path) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library:
        started = time.perf_counter()
        report = library.add([file])
        seconds = time.perf_counter() - started
        if report.failed:
            raise SystemExit(f"{report.failed[0][0]}: {report.failed[0][1]}")
        return seconds, library.documents()[0].tokens


if __name__ == "__main__":
    main()
