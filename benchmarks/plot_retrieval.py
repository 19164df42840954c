"""Draw what `coverage.py` and `order_experiment.py` measured, readable in print and without colour.

python benchmarks/plot_retrieval.py benchmarks/results/coverage.json benchmarks/results/order_experiment.json docs

Writes coverage.svg (evidence found against tokens of context) and order-experiment.svg (score against tokens of
context, by order), with 95 % intervals over documents.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

RETRIEVERS = {
    "BM25": "BM25",
    "BM25 + MiniLM": "BM25 + MiniLM",
    "ours, fast": "Seriatim, fast",
    "ours, balanced": "Seriatim",
}
ORDERS = {"relevance": "by relevance", "document": "in document order"}
STYLES = (("#7f7f7f", "o", ":"), ("#c1666b", "s", "--"), ("#d4a017", "^", "-."), ("#0b6e4f", "D", "-"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("coverage", type=Path)
    parser.add_argument("order", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    matplotlib.rcParams["svg.hashsalt"] = "seriatim"  # the same picture from the same figures
    _coverage(json.loads(options.coverage.read_text()), options.folder / "coverage.svg")
    _order(json.loads(options.order.read_text())["runs"], options.folder / "order-experiment.svg")


def _coverage(result: dict[str, Any], picture: Path) -> None:
    tasks = list(result["questions"])
    figure, panels = plt.subplots(1, len(tasks), figsize=(10, 3.4), sharey=True)
    for axes, task in zip(panels, tasks, strict=True):
        for place, (name, label) in enumerate(RETRIEVERS.items()):
            points = [
                (each["tokens"], 100 * each["coverage"], *(100 * end for end in each["interval_95"]))
                for each in result["coverage"][name][task]
            ]
            _line(axes, points, label, place)
        _finish(axes, f"{task}, {result['questions'][task]} questions", result["budgets"])
    panels[0].set_ylabel("evidence in the context, %")
    _save(figure, panels[0], picture)


def _order(runs: dict[str, Any], picture: Path) -> None:
    runs = {name: run for name, run in runs.items() if run["settings"]["stitch_words"] is None}
    tasks = list(dict.fromkeys(run["settings"]["task"] for run in runs.values()))
    figure, panels = plt.subplots(1, len(tasks), figsize=(10, 3.4))
    for axes, task in zip(panels, tasks, strict=True):
        own = {run["settings"]["order"]: run for run in runs.values() if run["settings"]["task"] == task}
        for place, (order, label) in enumerate(ORDERS.items()):
            points = [(each["tokens"], each["score"], *each["interval_95"]) for each in own[order]["budgets"]]
            _line(axes, points, label, 1 + 2 * place)
        axes.axhline(own["closed"]["budgets"][0]["score"], color="#7f7f7f", linestyle=":", label="closed book")
        budgets = [each["tokens"] for each in own["document"]["budgets"]]
        counts, metric = {each["n"] for each in own["document"]["budgets"]}, own["document"]["settings"]["metric"]
        _finish(axes, f"{task}, {' to '.join(map(str, sorted(counts)))} questions", budgets)
        axes.set_ylabel("F1, %" if metric == "f1" else "right answers, %")
        axes.set_xlim(0.8 * budgets[0], 1.25 * budgets[-1])
    _save(figure, panels[0], picture)


def _line(axes: Axes, points: list[tuple[float, ...]], label: str, place: int) -> None:
    x, y, low, high = zip(*points, strict=True)
    colour, marker, dashes = STYLES[place]
    beside = [tokens * (1 + 0.02 * place) for tokens in x]  # so that intervals do not cover each other
    errors = [
        [max(0.0, m - end) for m, end in zip(y, low, strict=True)],
        [max(0.0, end - m) for m, end in zip(y, high, strict=True)],
    ]
    axes.errorbar(
        beside, y, yerr=errors, color=colour, marker=marker, linestyle=dashes, label=label,
        markersize=4, linewidth=1.4, elinewidth=0.7, capsize=2,
    )  # fmt: skip


def _finish(axes: Axes, title: str, budgets: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(budgets, [f"{tokens:,}" for tokens in budgets])
    axes.minorticks_off()
    axes.set_xlabel("tokens of context")
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Any, axes: Axes, picture: Path) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
