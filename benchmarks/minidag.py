"""The MiniDAG study: run it, and put its rows into a table with paired intervals, and into plots.

    python benchmarks/minidag.py run configs/minidag-study.toml --runs runs/minidag
    python benchmarks/minidag.py table configs/minidag-study.toml
    python benchmarks/minidag.py on-policy configs/minidag-study.toml --runs runs/minidag

Writes results/minidag/: rows.json and outcomes.json, of which comparisons.json, table.md and the plots are made;
on-policy, which begins with a run of the study: on_policy.json, on_policy_comparisons.json and on_policy.md.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from seriatim.errors import SeriatimError
from seriatim.evaluation.statistics import RESAMPLES, holm, interval, mcnemar, two_sided
from seriatim.training.minidag.study import StudyConfig, read_config

COLUMNS = (
    ("in_accuracy", "in, %"), ("beyond_accuracy", "beyond, %"),
    ("beyond_banned_accuracy", "beyond, reflections banned, %"), ("beyond_i_to_c", "wrong → right, %"),
    ("beyond_c_to_i", "right → wrong, %"), ("beyond_retries", "reflections"), ("beyond_generated_tokens", "tokens"),
    ("beyond_truncated", "never ended, %"), ("beyond_format_failures", "no answer, %"),
    ("forced_error_recovery", "recovery, %"), ("p_reflect_wrong", "p(reflect after wrong)"),
    ("p_reflect_right", "p(reflect after right)"), ("train_tokens", "training tokens"),
)  # fmt: skip

SETS = ("in_allowed", "in_banned", "beyond_allowed", "beyond_banned")
BESIDE = ("A", "E")  # what the other arms are set beside: plain, and sham
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t, two-sided 95%, by the number of seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table", "on-policy"])
    parser.add_argument("config", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/minidag"))
    parser.add_argument("--results", type=Path, default=Path("results/minidag"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    try:
        config = read_config(options.config)
        if options.what == "on-policy":
            _on_policy(config, options)
            return
        if options.what == "run":
            _run(config, options)
        _table(options.results)
    except SeriatimError as error:
        sys.exit(f"minidag: {error}")


def _run(config: StudyConfig, options: argparse.Namespace) -> None:
    import torch

    from seriatim.training.minidag.study import study

    torch.set_num_threads(options.threads)
    study(config, options.runs, options.results, _told)


def _on_policy(config: StudyConfig, options: argparse.Namespace) -> None:
    import torch

    from seriatim.training.minidag.on_policy import COMPARED, folder, on_policy

    torch.set_num_threads(options.threads)
    made = on_policy(config, options.runs, options.results, _told)
    solved = {
        row["job"]: json.loads((folder(options.runs, row["job"]) / "outcomes.json").read_text(encoding="utf-8"))
        for row in made
    }
    compared = [
        {"job": job, "with": other, "set": name, **_difference([solved[job]], [solved[other]], name)}
        for job, other in COMPARED
        if job in solved and other in solved
        for name in SETS
    ]
    _adjust(compared)
    _write(options.results / "on_policy_comparisons.json", compared)
    lines = ["| model | " + " | ".join(name for _, name in COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 1)]
    lines += [f"| {row['job']} | " + " | ".join(_cell(row.get(key)) for key, _ in COLUMNS) + " |" for row in made]
    lines += ["", "| | less | set | difference [95%] | McNemar's p (Holm) |", "|---|---|---|---|---|"]
    lines += [
        f"| {each['job']} | {each['with']} | {each['set'].replace('_', ', ')} | {each['difference']:+.1f} "
        f"[{each['low']:+.1f}, {each['high']:+.1f}] | {each['p_holm']:.3g} |"
        for each in compared
    ]
    (options.results / "on_policy.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _told(what: str, done: int, total: int) -> None:
    if done % 250 == 0:
        print(f"step {done:,} of {total:,}: {what}", flush=True)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"


def _table(results: Path) -> None:
    if not (results / "rows.json").exists():
        sys.exit(f"there are no rows in {results} yet; run the study first")
    found = json.loads((results / "rows.json").read_text(encoding="utf-8"))
    compared = comparisons(json.loads((results / "outcomes.json").read_text(encoding="utf-8")))
    _write(results / "comparisons.json", compared)
    arms = list(dict.fromkeys(row["arm"] for row in found))
    lines = ["| arm | seeds | " + " | ".join(name for _, name in COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 2)]
    for arm in arms:
        own = [row for row in found if row["arm"] == arm]
        means = [f"{np.mean([row[key] for row in own]):,.4g}" for key, _ in COLUMNS]
        lines.append(f"| {arm} | {len(own)} | " + " | ".join(means) + " |")
    lines += ["", "| | less | set | right, % | difference [95%] | by seed | over seeds [95%] | p (Holm) |"]
    lines.append("|" + "---|" * 8)
    lines += [_compared(each) for each in compared if each["set"].startswith("beyond")]
    (results / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    _plots(found, arms, results)


def _compared(each: dict[str, Any]) -> str:
    by_seed = ", ".join(f"{seed}: {value:+.1f}" for seed, value in zip(each["seeds"], each["by_seed"], strict=True))
    over_seeds = f"[{each['t_low']:+.1f}, {each['t_high']:+.1f}]" if each["t_low"] is not None else ""
    p = "" if each["p"] is None else f"{each['p_holm']:.3g}"
    return (
        f"| {each['arm']} | {each['with']} | {each['set'].replace('_', ', ')} | {each['right']:.1f} against "
        f"{each['others_right']:.1f} | {each['difference']:+.1f} [{each['low']:+.1f}, {each['high']:+.1f}] | {by_seed} "
        f"| {over_seeds} | {p} |"
    )


def comparisons(outcomes: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """Arms against each other on the same problems and seeds, by set, with reflections allowed and banned, as
    `_difference` has it; `p_holm` is over all arms of a set. Of an arm without reflections the two are the same."""
    solved = {
        tuple(job.rsplit("-", 1)): {name: [each == "1" for each in right] for name, right in sets.items()}
        for job, sets in outcomes.items()
    }
    made: list[dict[str, Any]] = []
    for arm in dict.fromkeys(arm for arm, _ in solved if arm != "A"):
        for other in BESIDE if arm not in BESIDE else BESIDE[:1]:
            seeds = [seed for name, seed in solved if name == arm and (other, seed) in solved]
            ours, theirs = ([solved[each, seed] for seed in seeds] for each in (arm, other))
            made += [
                {"arm": arm, "with": other, "set": name, "seeds": seeds, **_difference(ours, theirs, name)}
                for name in (SETS if seeds else ())
            ]
    _adjust(made)
    return made


def _adjust(made: list[dict[str, Any]]) -> None:
    for name in SETS:
        own = [each for each in made if each["set"] == name and each["p"] is not None]
        for each, p in zip(own, holm([each["p"] for each in own]), strict=True):
            each["p_holm"] = p


def _difference(ours: list[dict[str, Any]], others: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """How much more of a set our models solved than others, a pair a seed: in points, with the 95% interval of a
    bootstrap over seeds and problems, and Student's over the seeds' differences alone, which is the wider the fewer
    they are. McNemar's exact p is for each pair; `p` is that of a single pair, the bootstrap's from three pairs on, and
    None of two, whose bootstrap knows too little of how seeds differ."""
    a, b = (np.array([each[name] for each in solved], dtype=float) for solved in (ours, others))
    means = resampled(a - b)
    low, high = interval(means)
    by_seed = 100 * (a - b).mean(axis=1)
    half = T_95[len(by_seed)] * by_seed.std(ddof=1) / np.sqrt(len(by_seed)) if len(by_seed) > 1 else None
    exact = [
        mcnemar(int(((x == 1) & (y == 0)).sum()), int(((x == 0) & (y == 1)).sum())) for x, y in zip(a, b, strict=True)
    ]
    return {
        "right": 100 * float(a.mean()), "others_right": 100 * float(b.mean()),
        "difference": float(by_seed.mean()), "low": 100 * low, "high": 100 * high, "by_seed": by_seed.tolist(),
        "t_low": None if half is None else float(by_seed.mean() - half),
        "t_high": None if half is None else float(by_seed.mean() + half),
        "mcnemar": exact, "p": {1: exact[0], 2: None}.get(len(exact), two_sided(means)),
    }  # fmt: skip


def resampled(differences: np.ndarray, seed: int = 0) -> np.ndarray:
    """Means of differences [seeds, problems] over resamples of seeds and of problems."""
    rng = np.random.default_rng(seed)
    seeds, problems = differences.shape
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        counts = np.bincount(rng.integers(seeds, size=seeds), minlength=seeds)
        weights = rng.multinomial(problems, np.full(problems, 1 / problems))
        means[number] = counts @ differences @ weights / (seeds * problems)
    return means


def _plots(found: list[dict[str, Any]], arms: list[str], results: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "seriatim", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = pyplot.subplots(figsize=(5.6, 3.6), layout="constrained")
        for arm, marker in zip(arms, "os^DvPX*", strict=False):
            own = [row["curve"] for row in found if row["arm"] == arm and row["curve"]]
            if not own:  # it goes on from another arm's end
                continue
            tokens = [np.mean([curve[n]["tokens"] for curve in own]) / 1e6 for n in range(len(own[0]))]
            means = [np.mean([curve[n]["beyond_accuracy"] for curve in own]) for n in range(len(own[0]))]
            axes.plot(tokens, means, marker=marker, label=arm)
        axes.set_xlabel("training tokens, millions")
        axes.set_ylabel("beyond distribution, % right")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)
        figure.savefig(results / "curve.svg", metadata={"Date": None})
        pyplot.close(figure)
        figure, axes = pyplot.subplots(figsize=(5.6, 3.6), layout="constrained")
        for place, key in enumerate(("p_reflect_wrong", "p_reflect_right")):
            heights = [np.mean([row[key] for row in found if row["arm"] == arm]) for arm in arms]
            name = "after a wrong step" if place == 0 else "after a right step"
            axes.bar(
                np.arange(len(arms)) + 0.4 * place - 0.2, heights, 0.4, label=name, hatch="" if place == 0 else "//"
            )
        axes.set_xticks(range(len(arms)), arms)
        axes.set_ylabel("probability of a reflection")
        axes.legend(fontsize=8, frameon=False)
        figure.savefig(results / "probe.svg", metadata={"Date": None})
        pyplot.close(figure)


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
