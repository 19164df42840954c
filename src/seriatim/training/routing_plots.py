"""Heat maps of routing statistics, readable in print: dark is much, and every scale is labelled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seriatim.errors import SeriatimError, UsageError

_FORMATS = ("svg", "png")


def draw(statistics: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what `routing_study.study` found as SVG and PNG in `folder`: `load`, `coactivation` of the first and the
    last layer, `domains` where there are several. Returns the files.

    Raises `UsageError` without matplotlib, `SeriatimError` where nothing can be written.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("plots need matplotlib: pip install 'seriatim[eval]'") from error
    matplotlib.use("Agg")
    even = statistics["experts_per_token"] / statistics["experts"]
    load = [[share * statistics["experts_per_token"] for share in layer] for layer in statistics["load"]]
    maps: dict[str, tuple[list[tuple[str, list[list[float]]]], str, str]] = {
        "load": ([("", load)], "layer", f"share of tokens (even: {even:.3f})"),
        "coactivation": (
            [(f"layer {layer + 1}", statistics["coactivation"][layer]) for layer in _ends(statistics)],
            "expert chosen",
            "share of its tokens",
        ),
    }
    if len(statistics["domains"]) > 1:
        layers = [(f"layer {layer + 1}", statistics["domain_specialisation"][layer]) for layer in _ends(statistics)]
        maps["domains"] = (layers, "", f"share of tokens (even: {even:.3f})")
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (panels, label, scale) in maps.items():
            rows = statistics["domains"] if name == "domains" else None
            files += _heat_map(folder / f"routing-{name}", panels, label, scale, rows)
    except OSError as error:
        raise SeriatimError(f"the plots cannot be written to {folder}: {error.strerror}") from error
    return files


def _ends(statistics: Mapping[str, Any]) -> list[int]:
    last = len(statistics["load"]) - 1
    return sorted({0, last})


def _heat_map(
    stem: Path, panels: list[tuple[str, list[list[float]]]], label: str, scale: str, rows: list[str] | None
) -> list[Path]:
    from matplotlib import pyplot

    most = max(max(map(max, values)) for _, values in panels)
    tall = 2.0 + 0.2 * min(20, max(len(values) for _, values in panels))
    with pyplot.rc_context({"svg.hashsalt": "seriatim", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = pyplot.subplots(
            1, len(panels), figsize=(4.6 * len(panels), tall), layout="constrained", squeeze=False
        )
        for axis, (title, values) in zip(axes[0], panels, strict=True):
            image = axis.imshow(values, cmap="Greys", vmin=0, vmax=most, aspect="auto", interpolation="nearest")
            axis.set(title=title, xlabel="expert", ylabel=label)
            axis.xaxis.get_major_locator().set_params(integer=True)
            if rows is not None:
                axis.set_yticks(range(len(rows)), rows)
            elif label == "layer":
                axis.set_yticks(range(len(values)), [str(layer + 1) for layer in range(len(values))])
        figure.colorbar(image, ax=axes[0].tolist(), label=scale)
        files = [stem.with_suffix(f".{each}") for each in _FORMATS]
        for file in files:
            figure.savefig(file, dpi=200, metadata={"Date": None} if file.suffix == ".svg" else None)
        pyplot.close(figure)
    return files
