"""What of OLMoE's design shows in small: arms that differ in one thing, three seeds each, held-out loss.

Protocol, fixed before the runs: benchmarks/pretraining/base.toml (3.1 million parameters, 1.0 of them active; 300 steps
of 2,048 tokens: a third of the corpus); arms as in ARMS, each with seeds 0, 1, 2 for weights and order
alike. The corpus is all the .txt files of --texts, cut at paragraphs into documents of about 4,000 characters, 2 % held
out; a tokenizer of 2,048 ids is trained on it. What counts is the last held-out loss, each arm less "64 of 8" of the
same seed: mean and 95 % interval by Student's t over the seeds. "dense" has one expert of the same active size; how
many times fewer steps "64 of 8" needs to reach its last loss is read off the held-out curve, and how many times less
time from that and the median speeds of the two runs.

Texts that come to hand: two novels from Project Gutenberg, and `apt-get install bible-kjv;
bible -f Gen1:1-Rev22:21 > kjv.txt`; all in the public domain. Runs are taken up where they stopped.

    python benchmarks/pretraining_study.py --texts FOLDER --runs runs/study \
        --out benchmarks/results/pretraining_study.json

benchmarks/pretraining/longer.toml trains "64 of 8" and "dense" on 5.1 million tokens. For these the corpus has,
besides, 14 million bytes of a dictionary (Webster's of 1913, which is in the public domain, with additions under the
GPL): `apt-get install dict-gcide; zcat /usr/share/dictd/gcide.dict.dz | head -c 14000000 | iconv -c -t utf-8 >
gcide.txt`.

    python benchmarks/pretraining_study.py --config benchmarks/pretraining/longer.toml --arms "64 of 8" dense \
        --texts FOLDER --runs runs/longer --out benchmarks/results/pretraining_longer.json \
        --plot docs/pretraining-longer.svg
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from machine import machine
from seriatim.training.config import read_config
from seriatim.training.metrics import read_metrics

BASE = "64 of 8"
DENSE = {"num_experts": 1, "num_experts_per_tok": 1, "intermediate_size": 256}
ARMS: dict[str, dict[str, Any]] = {
    BASE: {},
    "dense": {"model": DENSE, "loss": {"balancing": 0.0, "z": 0.0}},
    "8 of 1": {"model": {"num_experts": 8, "num_experts_per_tok": 1, "intermediate_size": 256}},
    "no balancing loss": {"loss": {"balancing": 0.0}},
    "expert choice": {"model": {"routing": "expert_choice"}, "loss": {"balancing": 0.0}},
    "eps 1e-5": {"optimizer": {"eps": 1e-5}},
}
VOCABULARY, DOCUMENT_CHARACTERS, STEP_TOKENS = 2048, 4000, 16 * 128
CONFIG = Path(__file__).parent / "pretraining" / "base.toml"
EVEN = {"load_max": 1.0, "idle_experts": 0}  # by construction, where experts choose their tokens
COLUMNS = {"step": "step", "loss": "validation_loss", "load_max": "load_max", "idle_experts": "idle_experts"}
DASHES = ("-", "--", "-.", ":")
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Student's t, two-sided 95 %, by the number of seeds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG, help='the recipe of "64 of 8"')
    parser.add_argument("--texts", type=Path, required=True, help="folder with .txt files")
    parser.add_argument("--runs", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path, default=Path("docs/pretraining-study.svg"))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="two to five")
    options = parser.parse_args()
    _corpus(options.texts, options.runs)
    torch.set_num_threads(1)
    for seed in options.seeds:
        for arm in options.arms:
            _train(options.config, arm, seed, options.runs)
    runs = {(arm, seed): _curve(options.runs / _name(arm, seed)) for seed in options.seeds for arm in options.arms}
    speeds = {(arm, seed): _speed(options.runs / _name(arm, seed)) for arm, seed in runs}
    result = {
        "command": " ".join(["python", *sys.argv]),
        "machine": machine(),
        "texts": {each.name: each.stat().st_size for each in sorted(options.texts.glob("*.txt"))},
        "arms": [_arm(arm, runs, speeds) for arm in options.arms],
        "against_dense": _against_dense(runs, speeds) if "dense" in options.arms else None,
        "curves": [
            {"arm": arm, "seed": seed} | {key: [row[key] for row in rows] for key in rows[0]}
            for (arm, seed), rows in runs.items()
        ],
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({"arms": result["arms"], "against_dense": result["against_dense"]}, indent=1))
    _draw(runs, options.plot)


def _corpus(texts: Path, runs: Path) -> None:
    """Token shards of the texts, in runs/data."""
    if (runs / "data").exists():
        return
    runs.mkdir(parents=True, exist_ok=True)
    rows = runs / "documents.jsonl"
    with rows.open("w", encoding="utf-8") as out:
        for file in sorted(texts.glob("*.txt")):
            for text in _documents(file.read_text(encoding="utf-8-sig")):
                out.write(json.dumps({"text": text}) + "\n")
    subprocess.run(
        [sys.executable, "-m", "seriatim", "train", "data", str(rows), "--out", str(runs / "data"),
         "--vocab", str(VOCABULARY), "--validation", "0.02"],
        check=True,
    )  # fmt: skip


def _documents(text: str) -> list[str]:
    found, held = [], ""
    for paragraph in text.replace("\r\n", "\n").split("\n\n" if "\n\n" in text.replace("\r\n", "\n") else "\n"):
        held += paragraph + "\n\n"
        if len(held) >= DOCUMENT_CHARACTERS:
            found.append(held)
            held = ""
    return [*found, held] if held.strip() else found


def _train(recipe: Path, arm: str, seed: int, runs: Path) -> None:
    from seriatim.training import loop

    base = read_config(recipe)
    tables = {name: replace(getattr(base, name), **changes) for name, changes in ARMS[arm].items()}
    config = replace(base, folder=runs.resolve(), run=replace(base.run, seed=seed), **tables)
    trained = loop.pretrain(config, runs / _name(arm, seed))
    print(f"{arm}, seed {seed}: held-out loss {trained.validation_loss}", flush=True)


def _name(arm: str, seed: int) -> str:
    return f"{arm.replace(' ', '-')}-{seed}"


def _curve(run: Path) -> list[dict[str, float]]:
    """Held-out loss, fullest expert and idle experts by step."""
    return [
        {key: (EVEN | row)[name] for key, name in COLUMNS.items()}
        for row in read_metrics(run)
        if row.get("validation_loss") is not None
    ]


def _speed(run: Path) -> float:
    """Tokens a second, the median of the steps."""
    return statistics.median(row["tokens_per_s"] for row in read_metrics(run) if "tokens_per_s" in row)


def _arm(arm: str, runs: dict[Any, list[dict[str, float]]], speeds: dict[Any, float]) -> dict[str, Any]:
    seeds = _seeds(runs)
    last = [runs[arm, seed][-1] for seed in seeds]
    differences = [runs[arm, seed][-1]["loss"] - runs[BASE, seed][-1]["loss"] for seed in seeds]
    return {
        "arm": arm,
        "seeds": seeds,
        "loss": statistics.mean(row["loss"] for row in last),
        "losses": [row["loss"] for row in last],
        "less_base": _interval(differences) if arm != BASE else None,
        "load_max": statistics.mean(row["load_max"] for row in last),
        "idle_experts": statistics.mean(row["idle_experts"] for row in last),
        "tokens_per_s": [speeds[arm, seed] for seed in seeds],
    }


def _seeds(runs: dict[Any, Any]) -> list[int]:
    return sorted({seed for _, seed in runs})


def _against_dense(runs: dict[Any, list[dict[str, float]]], speeds: dict[Any, float]) -> dict[str, Any]:
    """How many times fewer steps, and less time, the sparse model needs to reach the dense one's last held-out loss."""
    fewer, less = [], []
    for seed in _seeds(runs):
        dense = runs["dense", seed][-1]
        reached = _reached(runs[BASE, seed], dense["loss"])
        if reached is None:
            return {"fewer_steps": None, "why": f"not reached with seed {seed}"}
        fewer.append(dense["step"] / reached)
        less.append(fewer[-1] * speeds[BASE, seed] / speeds["dense", seed])
    return {"fewer_steps": _interval(fewer), "less_time": _interval(less)}


def _reached(curve: list[dict[str, float]], loss: float) -> float | None:
    for before, after in pairwise(curve):
        if after["loss"] <= loss:
            share = (before["loss"] - loss) / (before["loss"] - after["loss"])
            return before["step"] + share * (after["step"] - before["step"])
    return None


def _interval(values: list[float]) -> dict[str, Any]:
    mean, spread = statistics.mean(values), statistics.stdev(values)
    half = T_95[len(values)] * spread / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half, "values": values, "n": len(values)}


def _draw(runs: dict[Any, list[dict[str, float]]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for number, arm in enumerate(dict.fromkeys(arm for arm, _ in runs)):
        curves = [runs[arm, seed] for seed in _seeds(runs)]
        tokens = [row["step"] * STEP_TOKENS / 1e6 for row in curves[0]]
        losses = list(zip(*([row["loss"] for row in curve] for curve in curves), strict=True))
        axes.plot(tokens, list(map(statistics.mean, losses)), DASHES[number % 4], color=f"C{number}", label=arm)
        low, high = list(map(min, losses)), list(map(max, losses))
        axes.fill_between(tokens, low, high, color=f"C{number}", alpha=0.15, linewidth=0)
    axes.set(xlabel="million tokens", ylabel="held-out loss (mean and range of seeds)", ylim=(None, 6))
    axes.legend(frameon=False)
    figure.tight_layout()
    matplotlib.rcParams["svg.hashsalt"] = "seriatim"  # the same picture from the same figures
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
