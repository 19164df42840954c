"""A run in figures: means a budget, with intervals and costs."""

from collections.abc import Iterable
from statistics import median
from typing import Any

from seriatim.evaluation.records import Row, Run
from seriatim.evaluation.statistics import bootstrap_means, interval, pass_at_k, wilson


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
        "completion_tokens": _mean(row.get("completion_tokens") for row in rows),
        "seconds": _median(seconds(row) for row in rows),
        "truncated": _percent(row.get("truncated") for row in rows),
        **(_of_problems(scored) if any("format_failure" in row for row in rows) else {}),
    }  # fmt: skip


def _of_problems(rows: list[Row]) -> dict[str, Any]:
    """What reasoning benchmarks report besides: format failures in percent, Wilson's interval of the accuracy, how
    often a check's reflection has put an answer right (`corrected`) or wrong (`harmed`), and pass@k."""
    told: dict[str, Any] = {"format_failures": _percent(row["format_failure"] for row in rows)}
    if all(row["score"] in (0, 1) for row in rows):
        low, high = wilson(sum(row["score"] for row in rows), len(rows))
        told["wilson_95"] = (100 * low, 100 * high)
    if firsts := [row for row in rows if "first_score" in row]:
        told["first_score"] = _percent(row["first_score"] for row in firsts)
        told["corrected"] = sum(row["score"] > row["first_score"] for row in firsts)
        told["harmed"] = sum(row["score"] < row["first_score"] for row in firsts)
    if samples := min((row.get("samples", 0) for row in rows), default=0):
        told["pass_at"] = {
            str(k): _percent(pass_at_k(row["samples"], row["right"], k) for row in rows)
            for k in sorted({1, *(k for k in (5, 10, 100) if k <= samples), samples})
        }
    return told


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
