"""The server under load: searches a second, what it adds to the model's time, idle streams, memory over many searches.

The server runs as a process of its own, the clients in this one, all on this machine: what both need of its cores is in
the figures. The library holds made-up prose of `--passages` passages; `--effort fast` needs no embedder.

    pip install '.[dev]' -c constraints.txt
    python benchmarks/server_load.py --out benchmarks/results/server_load.json

Sections that a run does not measure, with `--asks 0` or `--seconds 0`, are kept from an earlier one in the same file.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from machine import machine

if TYPE_CHECKING:
    from seriatim.models.generator import Generator
    from seriatim.retrieval.library import Library

QUESTIONS = 200
_WORDS = 12_000

# The model of the overhead and of the idle streams: it thinks for ever so long, and costs no processor.
_SERVER = """
import sys, time
from pathlib import Path
from seriatim.models.generator import Piece, Usage
from seriatim.server.running import serve
from seriatim.server.settings import Limits, Settings

class Slow:
    name, context_tokens, span_tokens = "slow", 32768, 32768
    def count_tokens(self, text): return len(text) // 4
    def stream(self, messages, *, prefix="", stop=(), max_tokens=512, sampling=None):
        for number in range(100_000):
            time.sleep(0.05)
            yield Piece("word ")
        yield Piece(finish_reason="stop", usage=Usage())
    def close(self): pass

home, model = sys.argv[1:]
limits = Limits(requests_per_s=1e6, waiting=5000, waiting_per_client=5000, searches=1000, connections=10_000)
options = {"open_model": lambda *_: Slow()} if model == "slow" else {}
settings = Settings(port=0, home=Path(home), model=model, embedder="static", limits=limits, stop_s=1, **options)
serve(settings, started=lambda address: print(address, flush=True))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20, help="of searching; 0 leaves all but --asks out")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--soak", type=int, default=100_000, metavar="SEARCHES")
    parser.add_argument("--asks", type=int, default=20, help="questions to the real model; 0 leaves it out")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    random.seed(7)
    vocabulary = _vocabulary()
    with tempfile.TemporaryDirectory() as folder:
        results: dict[str, object] = {"passages": _library(Path(folder), vocabulary, options.passages)}
        if options.seconds:
            with _server(Path(folder), "slow") as (address, process):
                questions = [" ".join(random.choices(vocabulary, k=8)) for _ in range(QUESTIONS)]
                search = (address, questions, options.effort, options.clients)
                asyncio.run(_searches(*search, seconds=1))  # opens the library
                results["search"] = asyncio.run(_searches(*search, seconds=options.seconds))
                results["idle_streams"] = asyncio.run(_idle_streams(address, options.streams, process.pid))
                results["soak"] = _soak(search, options.soak, process.pid)
        if options.asks:
            results["ask"] = _overhead(Path(folder), options.model, options.asks)
    print(json.dumps(results, indent=1))
    if options.out:
        summary = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "results": results}
        if options.out.exists():
            results |= unmeasured(json.loads(options.out.read_text()), results)
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


def unmeasured(earlier: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """The sections of an earlier result that are not in this one, each with the command and the machine it is of."""
    of = {"command": earlier["command"], "machine": earlier["machine"]}
    return {name: {**of, **section} for name, section in earlier["results"].items() if name not in results}


def _vocabulary() -> list[str]:
    """Made-up words, pronounceable, so that none is a stop word and few are alike."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il")]
    return ["".join(random.choices(syllables, k=random.randint(2, 4))) for _ in range(_WORDS)]


def _library(home: Path, vocabulary: list[str], passages: int) -> int:
    """Fill the default library with documents of made-up prose, words as frequent as in a language."""
    from seriatim.documents.document import Document
    from seriatim.retrieval.library import Library

    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    with Library(home / "library", embedder="static") as library:
        number = 0
        while library.status(verify=False).passages < passages:
            sentences = [
                " ".join(random.choices(vocabulary, weights, k=random.randint(8, 20))).capitalize() + ". "
                for _ in range(1500)
            ]
            library.add_document(Document(f"made-up/{number}.txt", "".join(sentences), f"{number:064}"))
            number += 1
        return library.status(verify=False).passages


@contextmanager
def _server(home: Path, model: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(home), model],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # as `seriatim serve` sets it
    )
    try:
        assert process.stdout
        yield process.stdout.readline().strip(), process
    finally:
        process.terminate()
        process.wait(60)


async def _searches(
    address: str, questions: list[str], effort: str, clients: int, *, seconds: float = 0.0, count: int = 0
) -> dict[str, float]:
    """Searches by so many clients at once, each with the next as soon as it has an answer."""
    times: list[float] = []
    began = time.perf_counter()

    async def client(http: httpx.AsyncClient, number: int) -> None:
        while len(times) < count or time.perf_counter() - began < seconds:
            number += 1
            body = {"question": questions[number % len(questions)], "effort": effort}
            asked = time.perf_counter()
            answer = await http.post("/api/libraries/default/search", json=body)
            answer.raise_for_status()
            times.append(time.perf_counter() - asked)

    async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as http:
        await asyncio.gather(*(client(http, 31 * number) for number in range(clients)))
    took = time.perf_counter() - began
    cuts = statistics.quantiles(times, n=1000)
    return {
        "n": len(times),
        "clients": clients,
        "per_s": len(times) / took,
        "p50_ms": 1000 * cuts[499],
        "p99_ms": 1000 * cuts[989],
        "most_ms": 1000 * max(times),
    }


async def _idle_streams(address: str, count: int, pid: int) -> dict[str, float]:
    """Memory with so many questions waiting for one that never ends, each with its stream open."""
    before = _rss(pid)
    body = json.dumps({"question": "ba de", "effort": "fast"}).encode()
    host, port = address.removeprefix("http://").split(":")
    head = b"POST /api/libraries/default/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    lines = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        lines.append((reader, writer))
    for reader, _ in lines:
        answer = await asyncio.wait_for(reader.readuntil(b"event: stage"), 60)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    await asyncio.sleep(1)
    held = _rss(pid)
    began = time.perf_counter()
    for _, writer in lines:
        writer.close()
    async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
        while any((await http.get("/api/health")).json()["queue"].values()):
            await asyncio.sleep(0.05)
    return {
        "streams": count,
        "rss_before_mb": before,
        "rss_with_mb": held,
        "added_mb": held - before,
        "all_left_s": time.perf_counter() - began,
    }


def _soak(search: tuple[str, list[str], str, int], count: int, pid: int) -> dict[str, object]:
    """Memory after each tenth of many searches."""
    sizes = [_rss(pid)]
    for _ in range(10):
        asyncio.run(_searches(*search, count=count // 10))
        sizes.append(_rss(pid))
    return {"searches": count, "rss_mb": sizes, "growth_after_first_tenth_mb": sizes[-1] - sizes[1]}


def _overhead(home: Path, model: str, asks: int) -> dict[str, object]:
    """What asking over HTTP takes beyond the very same model calls made without a server, in this process: each
    question both ways, now the one first and now the other. The interval is the bootstrap's, over questions."""
    from seriatim.models.opening import open_generator
    from seriatim.retrieval.library import Library

    took: dict[str, list[float]] = {"served": [], "bare": []}
    generator = open_generator(model)
    try:
        with (
            _server(home, model) as (address, _),
            httpx.Client(base_url=address, timeout=600, trust_env=False) as http,
            Library(home / "library") as library,
        ):
            ways = {
                "served": lambda question: _ask_served(http, question),
                "bare": lambda question: _ask_bare(library, generator, question),
            }
            for number in range(-1, asks):  # the first one opens the model, and does not count
                for way in ("served", "bare") if number % 2 else ("bare", "served"):
                    began = time.perf_counter()
                    ways[way](f"Who said ba de number {number}?")
                    took[way].append(time.perf_counter() - began)
    finally:
        generator.close()
    served, bare = took["served"][1:], took["bare"][1:]
    return {
        "model": model,
        "n": asks,
        "served_s": served,
        "bare_s": bare,
        "overhead_percent": 100 * (sum(served) / sum(bare) - 1),
        "interval_95": _interval(served, bare),
    }


def _ask_served(http: httpx.Client, question: str) -> None:
    with http.stream("POST", "/api/libraries/default/ask", json={"question": question, "effort": "fast"}) as response:
        last = [line for line in response.iter_lines() if line][-1]
    assert "answer" in json.loads(last.removeprefix("data: ")), last


def _ask_bare(library: "Library", generator: "Generator", question: str) -> None:
    from seriatim.answering import answer

    for _ in answer(question, library, generator, effort="fast"):
        pass


def _interval(served: list[float], bare: list[float]) -> tuple[float, float]:
    drawn = random.Random(0)
    pairs = list(zip(served, bare, strict=True))
    found = []
    for _ in range(2000):
        sample = drawn.choices(pairs, k=len(pairs))
        found.append(100 * (sum(one for one, _ in sample) / sum(other for _, other in sample) - 1))
    low, *_, high = statistics.quantiles(found, n=40)
    return low, high


def _rss(pid: int) -> float:
    """Resident memory of a process in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
