"""Training by several processes beside one: the same losses, and what each process keeps.

Protocol: the same configuration (a tiny OLMoE on the sample document, 20 steps) by one process, by FSDP2 on 2 and 4, by
expert parallelism on 2 and 4, and by both on 4; gloo on this machine. The single process accumulates as many parts as
there are processes, since the balancing loss is that of a part. The learning rate is that of the recipe: at higher
ones rounding soon sends a token that stands between two experts to the other one. "difference" is the largest over the
steps; bytes are those of the parameters that a process keeps between steps, the most of any process.

    python benchmarks/parallel_training.py --out benchmarks/results/parallel_training.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import machine

LAYOUTS = ((2, 1), (2, 2), (4, 1), (4, 2), (4, 4))
STEPS = 20
CONFIG = """
[model]
hidden_size = 64
intermediate_size = 64
num_hidden_layers = 2
num_attention_heads = 4
num_experts = 16
num_experts_per_tok = 4
[data]
sources = ["SAMPLE"]
vocab_size = 512
sequence_length = 64
[schedule]
steps = 20
warmup_steps = 4
[optimizer]
learning_rate = 4e-4
[run]
batch_size = 8
accumulate = PARTS
"""
SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "sennet-water.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--kept", nargs=2, metavar=("CONFIG", "EXPERT_PARALLEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kept:
        _print_kept(Path(options.kept[0]), int(options.kept[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [_measure(Path(folder), processes, expert_parallel) for processes, expert_parallel in LAYOUTS]
    result = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "steps": STEPS, "rows": rows}
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


def _measure(folder: Path, processes: int, expert_parallel: int) -> dict[str, Any]:
    config = folder / f"{processes}.toml"
    config.write_text(CONFIG.replace("SAMPLE", str(SAMPLE)).replace("PARTS", str(processes)))
    alone = folder / f"alone-{processes}"
    if not alone.exists():
        _run([sys.executable, "-m", "seriatim", "train", "pretrain", str(config), "--run", str(alone)])
    several = folder / f"several-{processes}-{expert_parallel}"
    torchrun = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
    ]  # fmt: skip
    _run(
        [*torchrun, "-m", "--", "seriatim", "train", "pretrain", str(config), "--run", str(several),
         "--expert-parallel", str(expert_parallel)]
    )  # fmt: skip
    told = _run([*torchrun, __file__, "--kept", str(config), str(expert_parallel)])
    kept = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    one, other = _metrics(alone), _metrics(several)
    assert len(one) == len(other) == STEPS
    row = {
        "processes": processes,
        "expert_parallel": expert_parallel,
        "loss_difference": max(abs(a["loss"] - b["loss"]) for a, b in zip(one, other, strict=True)),
        "gradient_norm_difference": max(
            abs(a["gradient_norm"] - b["gradient_norm"]) for a, b in zip(one, other, strict=True)
        ),
        "last_loss": other[-1]["loss"],
        "parameter_bytes": kept[0]["whole"],
        "parameter_bytes_a_process": max(each["kept"] for each in kept),
    }
    print(row, file=sys.stderr, flush=True)
    return row


def _print_kept(file: Path, expert_parallel: int) -> None:
    from seriatim.olmoe.model import Olmoe
    from seriatim.training import parallel
    from seriatim.training.config import model_config, read_config

    config = read_config(file)
    with parallel.processes() as among:
        model = Olmoe(model_config(config.model, config.data.sequence_length, config.data.vocab_size, 0, None))
        whole = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        parallel.shard(model, among, expert_parallel)
        kept = sum(p.to_local().numel() * p.element_size() for p in model.parameters())  # type: ignore[attr-defined]
        print(json.dumps({"rank": among.rank, "whole": whole, "kept": kept}), flush=True)


def _metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
