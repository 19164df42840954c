"""When reflection helps a reader and when it hurts: GSM8K, MMLU and HumanEval in every arm, on the same problems.

Each task's arms in turn: plain, cot, reflection, phased, verified (not MMLU, which has nothing to check by), and
self-consistency on as many tokens as verified, or else phased, has spent on each problem; MMLU also by the letters'
log-probability, in a table of its own. At most --limit problems a task, drawn with --seed, the same for every arm;
temperature 0, but for self-consistency. Every arm is compared with cot: difference with a bootstrap interval, exact
McNemar, and Holm's adjustment over all comparisons here. Runs are kept in --runs and go on where they were, whatever
stopped them. An address that answers many at once is asked --at-once problems together; the seconds of a problem are
then those in which others were answered too.

    python benchmarks/reasoning.py --gsm8k FOLDER --mmlu FOLDER --humaneval FOLDER --limit 150 \\
        --runs runs/reasoning --out benchmarks/results/reasoning.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from machine import machine
from seriatim.evaluation.comparison import compare
from seriatim.evaluation.generation import Reader
from seriatim.evaluation.reasoning import runs
from seriatim.evaluation.reasoning.arms import Arm
from seriatim.evaluation.reasoning.problems import Problems, read_problems
from seriatim.evaluation.reasoning.tasks import TASKS
from seriatim.evaluation.records import Run, read_run
from seriatim.evaluation.runs import reader_identity
from seriatim.evaluation.statistics import holm
from seriatim.evaluation.summary import summary
from seriatim.models.opening import READER, open_generator

# Self-consistency comes after the arm whose tokens it may spend.
ARMS: tuple[Arm, ...] = ("plain", "cot", "reflection", "phased", "verified", "self-consistency", "letters")
BASELINE = "cot"


def main() -> None:
    options = _options()
    data = {name: read_problems(TASKS[name], path) for name, path in _paths(options).items()}
    plans = [_plan(name, arm, options) for name in data for arm in options.arms if _makes_sense(name, arm)]
    if options.only_results:
        plans = [plan for plan in plans if _folder(options.runs, plan.task.name, plan.arm).exists()]
    else:
        for plan in plans:
            runs.check(plan)
        _ask(plans, data, options)
    made = {(plan.task.name, plan.arm): read_run(_folder(options.runs, plan.task.name, plan.arm)) for plan in plans}
    result = {
        "command": " ".join(["python", *sys.argv]), "machine": machine(), "reader": options.reader,
        "limit": options.limit, "seed": options.seed, "arms": _lines(made), "compared_with_cot": _compared(made),
    }  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _show(result)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in TASKS:
        parser.add_argument(f"--{name}", type=Path, help=f"{name}'s data, as --data of seriatim eval run")
    parser.add_argument("--reader", default=READER, help="as --model of seriatim ask")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--limit", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=1, help="so many problems are asked together")
    parser.add_argument("--runs", type=Path, default=Path("runs/reasoning"))
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--only-results", action="store_true", help="ask nothing; make the result of the runs there are"
    )
    options = parser.parse_args()
    if not _paths(options):
        parser.error("name the data of one task at least")
    if options.at_once < 1 or (options.at_once > 1 and "://" not in options.reader):
        parser.error("--at-once is a number from 1 on, and more than 1 for an address alone")
    options.arms = [arm for arm in ARMS if arm in options.arms]
    return options


def _paths(options: argparse.Namespace) -> dict[str, Path]:
    return {name: getattr(options, name) for name in TASKS if getattr(options, name)}


def _makes_sense(name: str, arm: str) -> bool:
    return (arm != "letters" or name == "mmlu") and (arm != "verified" or TASKS[name].check is not None)


def _folder(folder: Path, name: str, arm: str) -> Path:
    return folder / f"{name}-{arm}"


def _plan(name: str, arm: str, options: argparse.Namespace) -> runs.Plan:
    matched = "verified" if _makes_sense(name, "verified") else "phased"
    match = _folder(options.runs, name, matched) if arm == "self-consistency" else None
    return runs.Plan(TASKS[name], cast(Arm, arm), limit=options.limit, seed=options.seed, match=match)


def _ask(plans: Sequence[runs.Plan], data: dict[str, Problems], options: argparse.Namespace) -> None:
    reader = Reader(open_generator(options.reader), reader_identity(options.reader))
    try:
        for plan in plans:
            name, arm = plan.task.name, plan.arm

            def show(left: str, done: int, total: int, label: str = f"{name}, {arm}") -> None:
                print(f"{label}: {done} of {total}, {left}", file=sys.stderr, flush=True)

            folder = _folder(options.runs, name, arm)
            runs.run(plan, data[name], reader, folder, show, at_once=options.at_once)
    finally:
        reader.generator.close()


def _lines(made: dict[tuple[str, str], Run]) -> list[dict[str, Any]]:
    kept = ("tokens", "n", "score", "wilson_95", "strict_score", "format_failures", "truncated", "prompt_tokens",
            "completion_tokens", "seconds", "first_score", "corrected", "harmed")  # fmt: skip
    return [
        {"task": name, "arm": arm, **{key: line[key] for key in kept if key in line}}
        for (name, arm), run in made.items()
        for line in summary(run)["budgets"]
    ]


def _compared(made: dict[tuple[str, str], Run]) -> list[dict[str, Any]]:
    """Each arm less chain of thought, of the same task; the letters are another measurement and stand alone."""
    lines: list[dict[str, Any]] = []
    for (name, arm), run in made.items():
        if arm in (BASELINE, "letters") or (name, BASELINE) not in made:
            continue
        [each] = compare(run, made[name, BASELINE])
        counts = each.mcnemar
        lines.append(
            {
                "task": name, "arm": arm, "n": each.n, "difference": each.difference, "interval_95": each.interval_95,
                "only_arm": counts and counts.only_a, "only_cot": counts and counts.only_b, "p": each.p,
            }
        )  # fmt: skip
    for line, adjusted in zip(lines, holm([line["p"] for line in lines]), strict=True):
        line["p_holm"] = adjusted
    return lines


def _show(result: dict[str, Any]) -> None:
    print("| task | arm | n | right, % | 95% | format failures, % | cut, % | generated tokens | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for line in result["arms"]:
        low, high = line["wilson_95"]
        print(
            f"| {line['task']} | {line['arm']} | {line['n']} | {line['score']:.1f} | {low:.1f}–{high:.1f} "
            f"| {line['format_failures']:.1f} | {line['truncated']:.1f} | {line['completion_tokens']:.0f} "
            f"| {line['seconds']:.1f} |"
        )
    for line in result["arms"]:
        if "first_score" in line:
            print(
                f"\n{line['task']}: first try {line['first_score']:.1f}, put right {line['corrected']}, "
                f"put wrong {line['harmed']}"
            )
    for line in result["compared_with_cot"]:
        low, high = line["interval_95"]
        print(
            f"{line['task']}, {line['arm']} less cot: {line['difference']:+.1f} ({low:+.1f} to {high:+.1f}), "
            f"p {line['p']:.4f}, Holm {line['p_holm']:.4f}"
        )


if __name__ == "__main__":
    main()
