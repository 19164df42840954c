"""Does document order help a small reader? Document against relevance order and closed book, and the other orders.

Protocol, fixed before any answer was looked at: reader qwen2.5-coder-1.5b (Q4_K_M), temperature 0, at most 40 tokens,
the prompts of ∞Bench; the questions of the given L-Eval files that can be scored without a judge, 100 of a task where
it has more; effort balanced, whole sentences; budgets of 512, 1,024 and 2,048 tokens. What counts is
document less relevance order, at each budget of each task: paired bootstrap over documents, McNemar's exact test for
choices, Holm over the budgets of a task. "stitched" is natural_question with its documents joined to at least 60,000
words, which no context of this reader holds, at 1,024 tokens; the orders reversed, shuffled and ends, and document
order on passages of exactly 128 tokens, are asked at 1,024 tokens on quality. Runs are taken up where they stopped.

    python benchmarks/order_experiment.py --data LEVAL_FOLDER --out benchmarks/results/order_experiment.json

The reader may stand behind an address, as long as it is one and the same for all runs (`--reader`): what is in the
results was read by benchmarks/int8_endpoint.py from the same GGUF file.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from machine import machine
from seriatim.evaluation.comparison import compare, to_dict
from seriatim.evaluation.datasets import read_dataset
from seriatim.evaluation.records import Run, read_run
from seriatim.evaluation.runs import Plan, reader_identity, run
from seriatim.evaluation.summary import summary
from seriatim.evaluation.tasks import find_task
from seriatim.models.opening import open_generator

READER = "qwen2.5-coder-1.5b"
BUDGETS = (512, 1024, 2048)
MOST = 100
CHOICES, ANSWERS = ("quality", "tpo"), ("natural_question", "multidoc_qa")
STITCH_WORDS = 60_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with L-Eval's .jsonl files")
    parser.add_argument("--reader", default=READER, help="a model, or an address and `#` and the model there")
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/results/order"), help="where the runs are kept")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file of the results")
    parser.add_argument("--only", nargs="+", default=[""], help="ask only runs whose names begin so: stitched quality")
    parser.add_argument("--limit", type=int, default=MOST, help="ask fewer questions of a task for now")
    parser.add_argument("--only-summary", action="store_true", help="ask nothing; sum up what was asked")
    options = parser.parse_args()
    if not options.only_summary:
        reader, identity = open_generator(options.reader, passage_tokens=max(BUDGETS)), reader_identity(options.reader)
        for name, plan in plans(options.limit):
            if not name.startswith(tuple(options.only)):
                continue
            dataset = read_dataset(plan.task, options.data)
            run(plan, dataset, reader, identity, options.runs / name, _progress(name))
        reader.close()
    made = {name: read_run(options.runs / name) for name, _ in plans() if (options.runs / name / "rows.jsonl").exists()}
    _write(options.out, made)


def plans(limit: int = MOST) -> Iterator[tuple[str, Plan]]:
    """The runs by name, those that the question needs first."""
    for task in (*CHOICES, *ANSWERS):
        yield f"{task}-closed", Plan(find_task(task), "closed", BUDGETS, limit=limit)
    for tokens in BUDGETS:  # so that a stopped experiment has whole points
        for task in (*CHOICES, *ANSWERS):
            for arm in ("document", "relevance"):
                yield f"{task}-{arm}", Plan(find_task(task), arm, (tokens,), limit=limit)
    for arm in ("document", "relevance"):
        yield f"stitched-{arm}", Plan(find_task("natural_question"), arm, (1024,), stitch_words=STITCH_WORDS)
    for arm in ("reversed", "shuffled", "ends"):
        yield f"quality-{arm}", Plan(find_task("quality"), arm, (1024,), limit=limit)
    yield "quality-document-128", Plan(find_task("quality"), "document", (1024,), splitting="tokens", limit=limit)


def _write(file: Path, made: dict[str, Run]) -> None:
    pairs = [
        (f"{task}-{other}", f"{task}-{base}")
        for task in (*CHOICES, *ANSWERS, "stitched")
        for other, base in (
            ("document", "relevance"), ("document", "closed"), ("relevance", "closed"), ("reversed", "relevance"),
            ("shuffled", "relevance"), ("ends", "relevance"), ("document", "document-128"),
        )
    ]  # fmt: skip
    result = {
        "command": "python benchmarks/order_experiment.py --data LEVAL_FOLDER --reader READER --out FILE",
        "machine": machine(),
        "runs": {name: summary(each) | {"run": name} for name, each in made.items()},
        "comparisons": [
            to_dict(made[a], made[b], "score", compare(made[a], made[b])) | {"a": a, "b": b}
            for a, b in pairs
            if a in made and b in made
        ],
    }
    file.write_text(json.dumps(result, indent=1) + "\n")


def _progress(name: str) -> Callable[[str, int, int], None]:
    def update(left: str, done: int, total: int) -> None:
        print(f"{name}: {done} of {total}, {left}", flush=True)

    return update


if __name__ == "__main__":
    main()
