"""Plots of runs: score, coverage and cost against tokens, readable in print and without colour."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.records import Row, Run
from seriatim.evaluation.statistics import bootstrap_means, interval
from seriatim.evaluation.summary import seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers tell apart; markers and dashes do it in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", "-.", ":", "-", "--", "-.")
_FORMATS = ("svg", "png")
_LEVEL = ("closed", "letters")  # without budgets: a level line

Column = Callable[[Row], float | None]


def draw(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draw score, coverage, seconds, tokens of the prompt and generated ones of `runs` against their budgets, each
    as SVG and PNG in `folder`; what no run has is left out. Returns the files.

    Raises `UsageError` for runs of several tasks, or with nothing to draw, or without matplotlib, `SeriatimError` where
    nothing can be written.
    """
    tasks = sorted({run.settings["task"] for run in runs})
    if len(tasks) > 1:
        raise UsageError(f"one plot shows one task, not {' and '.join(tasks)}")
    if len({run.settings.get("stitch_words") for run in runs}) > 1:
        raise UsageError("stitched documents and those that are not are two measurements: draw them apart")
    if len({run.settings.get("judged_by") for run in runs}) > 1:
        raise UsageError("letters by log-probability and generated answers are two measurements: draw them apart")
    metric = "F1" if runs[0].settings["metric"] == "f1" else "right answers"
    columns: dict[str, tuple[str, float, Column]] = {
        "score": (f"{metric}, %", 100, lambda row: row.get("score")),
        "coverage": ("evidence in the context, %", 100, lambda row: row["coverage"]),
        "seconds": ("mean seconds a question", 1, seconds),
        "prompt_tokens": ("tokens of the prompt", 1, lambda row: row.get("prompt_tokens")),
        "completion_tokens": ("tokens that were generated", 1, _generated),
    }
    held = [
        name for name, (*_, column) in columns.items() if any(column(row) is not None for r in runs for row in r.rows)
    ]
    if not held:
        raise UsageError("these runs have neither scores nor coverage to draw")
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in held:
            files += _plot(runs, folder / f"{tasks[0]}-{name}", *columns[name])
    except OSError as error:
        raise SeriatimError(f"the plots cannot be written to {folder}: {error.strerror}") from error
    return files


def _generated(row: Row) -> float | None:
    """What was generated for a problem; of an answer to a document's question it is of no interest."""
    return row.get("completion_tokens") if "format_failure" in row else None


def _plot(runs: Sequence[Run], stem: Path, label: str, scale: float, column: Column) -> list[Path]:
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("plots need matplotlib: pip install 'seriatim[eval]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "seriatim", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = pyplot.subplots(figsize=(5.2, 3.4), layout="constrained")
        for place, run in enumerate(runs):
            _line(axes, run, place, scale, column)
        _finish(axes, runs, label)
        files = [stem.with_suffix(f".{each}") for each in _FORMATS]
        for file in files:
            figure.savefig(file, dpi=200, metadata={"Date": None} if file.suffix == ".svg" else None)
        pyplot.close(figure)
    return files


def _line(axes: "Axes", run: Run, place: int, scale: float, column: Column) -> None:
    """A run's means with 95% intervals of a bootstrap over documents; one without budgets is a level line."""
    style: dict[str, Any] = {
        "color": _COLOURS[place % len(_COLOURS)], "linestyle": _DASHES[place % len(_DASHES)],
        "label": _label(run), "linewidth": 1.4,
    }  # fmt: skip
    points = []
    for tokens in run.budgets:
        rows = [(value, row["document"]) for row in run.at(tokens).values() if (value := column(row)) is not None]
        if rows:
            values, documents = zip(*rows, strict=True)
            low, high = interval(bootstrap_means(values, documents))
            points.append((tokens, scale * sum(values) / len(values), scale * low, scale * high))
    if not points:
        return
    if run.settings["order"] in _LEVEL:
        axes.axhline(points[0][1], **style)
        return
    x, y, low_y, high_y = zip(*points, strict=True)
    nudge = 1 + 0.012 * place  # so that intervals at the same budget stand beside each other
    x = tuple(tokens * nudge for tokens in x)
    # Where all scores are equal the ends differ from the mean by a rounding, upwards as often as downwards.
    errors = [
        [max(0.0, m - lo) for m, lo in zip(y, low_y, strict=True)],
        [max(0.0, hi - m) for m, hi in zip(y, high_y, strict=True)],
    ]
    axes.errorbar(x, y, yerr=errors, marker=_MARKERS[place % len(_MARKERS)], capsize=2.5, markersize=4, **style)


def _label(run: Run) -> str:
    """The order, the run, and of budgets that were not asked alike how many questions each has."""
    counts = [len(run.at(tokens)) for tokens in run.budgets]
    asked = f", n = {', '.join(map(str, counts))}" if len(set(counts)) > 1 else ""
    return f"{run.settings['order']} ({run.name}{asked})"


def _finish(axes: "Axes", runs: Sequence[Run], label: str) -> None:
    budgets = sorted({tokens for run in runs if run.settings["order"] not in _LEVEL for tokens in run.budgets})
    if len(budgets) > 1:
        axes.set_xscale("log")
    elif budgets:  # so that runs beside each other do not look like other budgets
        axes.set_xlim(0.7 * budgets[0], 1.4 * budgets[0])
    axes.set_xticks(budgets, [f"{tokens:,}" for tokens in budgets], rotation=45 if len(budgets) > 4 else 0)
    axes.minorticks_off()
    generated = any("format_failure" in row for run in runs for row in run.rows)
    axes.set_xlabel("budget of generated tokens" if generated else "tokens of context")
    axes.set_ylabel(label)
    readers = dict.fromkeys(run.settings.get("reader") or "retrieval alone" for run in runs)
    axes.set_title(f"{runs[0].settings['task']}, {' and '.join(readers)}", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, frameon=False)
