"""A run in figures: means a budget, with intervals and costs."""

from collections.abc import Iterable
from statistics import median
from typing import Any

from seriatim.evaluation.records import Row, Run
from seriatim.evaluation.statistics import bootstrap_means, interval


def summary(run: Run) -> dict[str, Any]:
    """The `eval run --json` contract: the settings, and of each budget means in percent, tokens, median seconds."""
    return {
        "run": str(run.path),
        "settings": run.settings,
        "budgets": [_line(tokens, list(run.at(tokens).values())) for tokens in run.budgets],
    }


def seconds(row: Row) -> float | None:
    """What a question took in all; None without a reader. Where the reader had a part of the prompt in its cache, that
    is less than it would be alone."""
    parts = [row.get(part) for part in ("retrieve_s", "prefill_s", "generate_s")]
    return None if None in parts else sum(part for part in parts if part)


def _line(tokens: int, rows: list[Row]) -> dict[str, Any]:
    scored = [row for row in rows if "score" in row]
    return {
        "tokens": tokens, "n": len(rows), "documents": len({row["document"] for row in rows}),
        "score": _percent(row.get("score") for row in rows),
        "interval_95": _interval(scored),
        "strict_score": _percent(row.get("strict_score") for row in rows),
        "coverage": _percent(row["coverage"] for row in rows),
        "coverage_n": sum(row["coverage"] is not None for row in rows),
        "context_tokens": _mean(row["context_tokens"] for row in rows),
        "prompt_tokens": _mean(row.get("prompt_tokens") for row in rows),
        "seconds": _median(seconds(row) for row in rows),
    }  # fmt: skip


def _interval(rows: list[Row]) -> tuple[float, float] | None:
    if not rows:
        return None
    low, high = interval(bootstrap_means([row["score"] for row in rows], [row["document"] for row in rows]))
    return 100 * low, 100 * high


def _mean(values: Iterable[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return sum(held) / len(held) if held else None


def _median(values: Iterable[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return median(held) if held else None


def _percent(values: Iterable[float | None]) -> float | None:
    mean = _mean(values)
    return None if mean is None else 100 * mean
