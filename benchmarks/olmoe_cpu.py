"""OLMoE-1B-7B of full size on a processor: Seriatim's int8 engine beside llama.cpp, same machine, same run.

Protocol: one randomly initialised checkpoint (speed does not depend on the values), in int8 and as GGUF Q8_0 and Q4_0.
Each engine runs in a process of its own, in turn, `--rounds` times; a round reads 256 tokens to warm up, then a new
random prompt of each length (nothing cached), and decodes `--generate` tokens behind it. llama.cpp first tries batches
of several sizes on the 2,048-token prompt and keeps its fastest; a run over an --out that is there takes the sizes
found then. llama.cpp's wheel is built for AVX2: "int8-avx2" is our engine held to the same instructions, while "int8"
is compiled for the processor at hand, as it is when it is used. Figures are medians over the rounds. transformers in
bfloat16 is measured once, on the shortest prompt and a few tokens, and ended when it takes longer than
--transformers-limit seconds.

    python benchmarks/random_checkpoint.py olmoe-random
    python benchmarks/olmoe_cpu.py olmoe-random --out benchmarks/results/olmoe_cpu.json
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from machine import machine
from seriatim.machine import cores

LENGTHS = (512, 1024, 2048, 3500)
BATCHES = (256, 512, 1024, 2048)
CONTEXT = 4096
WARM_UP = 256
ENGINES = ("int8", "int8-avx2", "Q8_0", "Q4_0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--engines", nargs="+", default=[*ENGINES, "transformers"])
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transformers-limit", type=float, default=300)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options)))
        return
    _prepare(options)
    kept = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    tried = kept.get("llama_cpp_batches") or {
        engine: _batches(options, engine) for engine in options.engines if engine.startswith("Q")
    }
    batches = {engine: int(max(speeds, key=speeds.__getitem__)) for engine, speeds in tried.items()}
    rows: list[dict] = []
    _keep(options, tried, rows)
    for number in range(options.rounds):
        for engine in options.engines:
            if engine == "transformers" and number:
                continue
            rows.append(_in_process(options, engine, batches.get(engine), options.lengths, seed=number))
            print(json.dumps({key: value for key, value in rows[-1].items() if key != "parts"}), flush=True)
            _keep(options, tried, rows)
    print(json.dumps(_summary(rows), indent=1))


def _keep(options: argparse.Namespace, tried: dict, rows: list[dict]) -> None:
    result = {
        "command": " ".join(["python", *sys.argv]), "machine": machine(), "threads": cores(),
        "llama_cpp": _llama_cpp_system(), "llama_cpp_batches": tried, "summary": _summary(rows), "rows": rows,
    }  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def _files(options: argparse.Namespace) -> dict[str, Path]:
    beside = options.checkpoint.resolve().parent
    names = {kind: f"{options.checkpoint.name}-{kind}.gguf" for kind in ("Q8_0", "Q4_0")}
    return {
        "int8": options.checkpoint,
        "int8-avx2": options.checkpoint,
        **{kind: beside / name for kind, name in names.items()},
    }


def _prepare(options: argparse.Namespace) -> None:
    """Make the GGUF files that are not there yet; the int8 form is made when it is first loaded."""
    from seriatim.olmoe import to_gguf

    for kind, path in _files(options).items():
        if kind in options.engines and path.suffix == ".gguf" and not path.exists():
            started = time.perf_counter()
            to_gguf(options.checkpoint, path, kind)
            print(f"{path.name}: {time.perf_counter() - started:.0f} s", flush=True)


def _batches(options: argparse.Namespace, engine: str) -> dict[int, float]:
    """Tokens a second of llama.cpp on a prompt of 2,048, by the size of its batches."""
    tried = {}
    for batch in BATCHES:
        row = _in_process(options, engine, batch, [2048], seed=99, generate=1)
        tried[batch] = row["lengths"][0]["prefill_tokens_per_s"]
    print(engine, "prefill by batch", tried, flush=True)
    return tried


def _in_process(
    options: argparse.Namespace, engine: str, batch: int | None, lengths: list[int], seed: int, generate: int = 0
) -> dict:
    command = [sys.executable, __file__, str(options.checkpoint), "--one", engine, "--seed", str(seed)]
    command += ["--generate", str(generate or options.generate), "--lengths", *map(str, lengths)]
    if batch:
        command += ["--batch", str(batch)]
    limit = options.transformers_limit if engine == "transformers" else None
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=limit, text=True)
    except subprocess.TimeoutExpired:
        return {"engine": engine, "lengths": [], "ended_after_s": limit}
    return json.loads(done.stdout.splitlines()[-1])


def _measure(options: argparse.Namespace) -> dict:
    started = time.perf_counter()
    engine = options.one
    kinds = {"int8": _Int8, "int8-avx2": _Int8, "transformers": _transformers}
    opened = kinds.get(engine, _llama_cpp)(options)
    load_s = time.perf_counter() - started
    draw = random.Random(options.seed)
    # What is mapped comes from the disk, or the system's cache, when it is first used.
    opened([draw.randrange(2, 50_000) for _ in range(WARM_UP)], 2)
    rows = []
    lengths = options.lengths[:1] if engine == "transformers" else options.lengths
    for length in lengths:
        prompt = [draw.randrange(2, 50_000) for _ in range(length)]
        prefill_s, tokens, decode_s = opened(prompt, 4 if engine == "transformers" else options.generate)
        rows.append(
            {
                "prompt": length, "prefill_s": prefill_s, "prefill_tokens_per_s": length / prefill_s,
                "decode_tokens_per_s": tokens / decode_s if decode_s else None,
            }
        )  # fmt: skip
    parts = opened.parts() if engine == "int8" else None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "engine": engine, "batch": options.batch, "load_s": load_s, "peak_rss_bytes": peak, "lengths": rows,
        "parts": parts,
    }  # fmt: skip


class _Int8:
    """Reads and decodes with the int8 engine; called with a prompt and how many tokens to write."""

    def __init__(self, options: argparse.Namespace) -> None:
        import torch

        from seriatim.olmoe import load

        kernels = import_module("seriatim.olmoe.int8.kernels")
        if options.one == "int8-avx2":
            kernels._FLAGS[kernels._FLAGS.index("-march=native")] = "-march=haswell"
        torch.set_num_threads(cores())
        self.model = load(options.checkpoint, dtype="int8")

    def __call__(self, prompt: list[int], generate: int) -> tuple[float, int, float]:
        return self._read(prompt, generate)

    def _read(self, prompt: list[int], generate: int, before_decoding=None) -> tuple[float, int, float]:
        import torch

        cache = self.model.new_cache(1, len(prompt) + generate)
        started = time.perf_counter()
        logits = self.model.read(torch.tensor([prompt]), cache)
        if before_decoding:
            before_decoding()
        read = time.perf_counter()
        for _ in range(generate):
            logits = self.model.read(logits.argmax(-1, keepdim=True), cache)
        return read - started, generate, time.perf_counter() - read

    def parts(self) -> dict[str, dict[str, float]]:
        """Seconds by part: of reading 2,048 tokens, and of one token decoded behind 1,000."""
        operations, spent = self.model._operations, {}
        names = {
            "linear": "projections and head", "attend": "attention", "experts": "experts", "route": "router",
            "norm": "glue", "rotate_and_store": "glue",
        }  # fmt: skip
        for name, part in names.items():
            setattr(operations, name, _timed(getattr(operations, name), part, spent))
        draw = random.Random(0)
        result = {}
        for kind, prompt, generate in (("prefill", 2048, 0), ("decode_a_token", 1000, 32)):
            ids = [draw.randrange(2, 50_000) for _ in range(prompt)]
            prefill_s, _, decode_s = self._read(ids, generate, before_decoding=spent.clear if generate else None)
            seconds = {part: value / max(generate, 1) for part, value in spent.items()}
            whole = decode_s / generate if generate else prefill_s
            result[kind] = {**seconds, "glue": whole - sum(seconds.values()) + seconds["glue"], "all": whole}
            spent.clear()
        return result


def _timed(function, part: str, spent: dict[str, float]):
    def timed(*args, **options):
        started = time.perf_counter()
        result = function(*args, **options)
        spent[part] = spent.get(part, 0.0) + time.perf_counter() - started
        return result

    return timed


def _llama_cpp(options: argparse.Namespace):
    from seriatim.models import llamacpp

    llamacpp._BATCH_TOKENS = options.batch
    model = llamacpp.LlamaCpp(_files(options)[options.one], context_tokens=CONTEXT)

    def read(prompt: list[int], generate: int) -> tuple[float, int, float]:
        request = {
            "prompt": prompt, "n_predict": generate, "temperature": 0, "cache_prompt": False, "ignore_eos": True,
            "stream": True,
        }  # fmt: skip
        *_, last = model._server.events("/completion", request)
        timings = last["timings"]
        assert timings["prompt_n"] == len(prompt), timings
        # llama.cpp draws the first token from the prompt's last logits: its time is the prompt's.
        written = timings["predicted_n"] - 1
        return timings["prompt_ms"] / 1000, written, timings["predicted_ms"] / 1000 if written else 0.0

    return read


def _llama_cpp_system() -> str:
    """Which instructions llama.cpp was built for, in its own words."""
    import xllamacpp

    return str(xllamacpp.get_system_info())


def _transformers(options: argparse.Namespace):
    import torch
    import transformers

    torch.set_num_threads(cores())
    model = transformers.AutoModelForCausalLM.from_pretrained(options.checkpoint, dtype=torch.bfloat16)

    @torch.inference_mode()
    def read(prompt: list[int], generate: int) -> tuple[float, int, float]:
        started = time.perf_counter()
        out = model(torch.tensor([prompt]), use_cache=True)
        read = time.perf_counter()
        for _ in range(generate):
            token = out.logits[:, -1:].argmax(-1)
            out = model(token, cache=out.cache, use_cache=True)
        return read - started, generate, time.perf_counter() - read

    return read


def _summary(rows: list[dict]) -> dict:
    engines = {}
    for engine in dict.fromkeys(row["engine"] for row in rows):
        chosen = [row for row in rows if row["engine"] == engine and row["lengths"]]
        if not chosen:
            engines[engine] = next(row for row in rows if row["engine"] == engine)
            continue
        by_length = {}
        for place, first in enumerate(chosen[0]["lengths"]):
            each = [row["lengths"][place] for row in chosen]
            by_length[first["prompt"]] = {
                name: statistics.median(row[name] for row in each)
                for name in ("prefill_s", "prefill_tokens_per_s", "decode_tokens_per_s")
            }
        engines[engine] = {
            "by_prompt": by_length, "rounds": len(chosen),
            "load_s": statistics.median(row["load_s"] for row in chosen),
            "peak_rss_bytes": max(row["peak_rss_bytes"] for row in chosen),
        }  # fmt: skip
    return {"engines": engines, "ratios": _ratios(engines)}


def _ratios(engines: dict) -> dict:
    """The figures that count: reading 2,048 tokens, decoding behind 1,024, and 100 tokens of answer over 2,048."""

    def figure(engine: str, prompt: int, name: str) -> float:
        return engines[engine]["by_prompt"][prompt][name]

    def answer_s(engine: str) -> float:
        return figure(engine, 2048, "prefill_s") + 100 / figure(engine, 2048, "decode_tokens_per_s")

    measured = [engine for engine in ENGINES if {1024, 2048} <= engines.get(engine, {}).get("by_prompt", {}).keys()]
    result: dict = {"answer_s": {engine: answer_s(engine) for engine in measured}}
    for ours in measured:
        if ours.startswith("int8") and {"Q8_0", "Q4_0"} <= set(measured):
            result[ours] = {
                "prefill_2048_over_Q8_0": figure(ours, 2048, "prefill_tokens_per_s")
                / figure("Q8_0", 2048, "prefill_tokens_per_s"),
                "decode_1024_over_Q8_0": figure(ours, 1024, "decode_tokens_per_s")
                / figure("Q8_0", 1024, "decode_tokens_per_s"),
                "answer_over_Q4_0": answer_s(ours) / answer_s("Q4_0"),
            }
    return result


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
