"""Training tokens a second beside transformers 5 with its best working experts: same weights, batch and fp32.

Protocol: each engine in a process of its own, in turn, --rounds times; a step is forward, cross-entropy with the
auxiliary losses of each (transformers has no z-loss and counts its balancing loss its own way), backward, clipping and
fused AdamW; two steps to warm up, then --steps steps; the median step counts. Memory is the process's peak.
"by_experts" keeps 8 experts a token active, of 8 to 128. Our training keeps the memory that it frees, as
`training.memory` says; "kept" gives transformers the same setting, which it does not make itself.

    python benchmarks/training_speed.py --out benchmarks/results/training_speed.json
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import machine

SHAPES: dict[str, dict[str, Any]] = {
    "30M": {"hidden_size": 256, "intermediate_size": 128, "num_hidden_layers": 4, "num_experts": 64, "k": 8},
    "100M": {"hidden_size": 512, "intermediate_size": 192, "num_hidden_layers": 5, "num_experts": 64, "k": 8},
    "16 wide experts": {
        "hidden_size": 512,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_experts": 16,
        "k": 2,
    },
}
BATCH, TOKENS, VOCABULARY = 8, 256, 8192
ENGINES = ("seriatim", "transformers grouped_mm", "transformers grouped_mm kept")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES))
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--one", nargs=2, metavar=("ENGINE", "SHAPE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options.one[0], json.loads(options.one[1]), options.steps)))
        return
    rows = [
        {"shape": name, "engine": engine, "round": number} | _alone(engine, SHAPES[name], options.steps)
        for name in options.shapes
        for number in range(options.rounds)
        for engine in options.engines
    ]
    experts = [
        {"experts": count, "round": number} | _alone("seriatim", SHAPES["30M"] | {"num_experts": count}, options.steps)
        for number in range(options.rounds)
        for count in (8, 16, 32, 64, 128)
    ]
    result = {
        "command": " ".join(["python", *sys.argv]),
        "machine": machine(),
        "batch": BATCH, "tokens": TOKENS, "vocabulary": VOCABULARY, "shapes": SHAPES,
        "median": _medians(rows), "by_experts": _by_experts(experts), "rows": rows, "rows_by_experts": experts,
    }  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({"median": result["median"], "by_experts": result["by_experts"]}, indent=1))


def _alone(engine: str, shape: dict[str, Any], steps: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--steps", str(steps), "--one", engine, json.dumps(shape)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    measured: dict[str, Any] = json.loads(done.stdout)
    print(engine, shape, measured, file=sys.stderr, flush=True)
    return measured


def _measure(engine: str, shape: dict[str, Any], steps: int) -> dict[str, Any]:
    import torch
    import transformers

    from seriatim.training.memory import keep_freed_memory

    shape = dict(shape)
    k = shape.pop("k")
    torch.manual_seed(0)
    config = transformers.OlmoeConfig(
        **shape, num_experts_per_tok=k, vocab_size=VOCABULARY, num_attention_heads=8, num_key_value_heads=8,
        max_position_embeddings=TOKENS, output_router_logits=True, router_aux_loss_coef=0.01, use_cache=False,
        eos_token_id=0,
    )  # fmt: skip
    implementation = engine.partition(" ")[2].partition(" ")[0]
    if engine == "seriatim" or engine.endswith(" kept"):
        keep_freed_memory()
    if implementation:
        config._experts_implementation = implementation
        model = transformers.OlmoeForCausalLM(config).train()

        def loss(batch: Any) -> Any:
            return model(input_ids=batch[:, :-1], labels=batch[:, :-1]).loss
    else:
        from seriatim.olmoe.config import OlmoeConfig
        from seriatim.olmoe.model import Olmoe
        from seriatim.training.config import LossSettings
        from seriatim.training.losses import step_losses

        model = Olmoe(OlmoeConfig.from_dict(config.to_diff_dict()))

        def loss(batch: Any) -> Any:
            return sum(step_losses(model, batch[:, :-1], batch[:, 1:], LossSettings())[0].values())

    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    batches = torch.randint(VOCABULARY, (steps + 2, BATCH, TOKENS + 1))
    seconds = []
    for batch in batches:
        started = time.perf_counter()
        loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - started)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens_per_s": BATCH * TOKENS / statistics.median(seconds[2:]),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for shape in dict.fromkeys(row["shape"] for row in rows):
        for engine in dict.fromkeys(row["engine"] for row in rows):
            chosen = [row for row in rows if (row["shape"], row["engine"]) == (shape, engine)]
            if chosen:
                medians = {
                    name: statistics.median(row[name] for row in chosen) for name in ("tokens_per_s", "peak_rss_bytes")
                }
                found.append({"shape": shape, "engine": engine, "parameters": chosen[0]["parameters"]} | medians)
    return found


def _by_experts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"experts": count, "tokens_per_s": statistics.median(r["tokens_per_s"] for r in rows if r["experts"] == count)}
        for count in dict.fromkeys(row["experts"] for row in rows)
    ]


if __name__ == "__main__":
    main()
