"""Draw what `olmoe_cpu.py` measured: speed against the prompt's length, and where the time of the int8 engine goes.

python benchmarks/plot_olmoe_cpu.py benchmarks/results/olmoe_cpu.json docs/olmoe-cpu.svg
"""

import argparse
import json
import statistics
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LABELS = {
    "int8": "Seriatim, int8",
    "int8-avx2": "Seriatim, int8, held to AVX2",
    "Q8_0": "llama.cpp, Q8_0",
    "Q4_0": "llama.cpp, Q4_0",
}
COLOURS = {"int8": "#0b6e4f", "int8-avx2": "#8fcba8", "Q8_0": "#c1666b", "Q4_0": "#d4b483"}
MARKERS = {"int8": "o", "int8-avx2": "D", "Q8_0": "s", "Q4_0": "^"}
PARTS = ("experts", "projections and head", "attention", "router", "glue")
SHADES = ("#0b6e4f", "#4c9f70", "#8fcba8", "#48639c", "#b0b7c3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    result = json.loads(options.result.read_text())
    matplotlib.rcParams["svg.hashsalt"] = "seriatim"  # the same picture from the same figures
    figure, (prefill, decode, parts) = plt.subplots(1, 3, figsize=(12, 3.6), width_ratios=(3, 3, 2))
    for engine, label in LABELS.items():
        rows = result["summary"]["engines"].get(engine, {}).get("by_prompt", {})
        lengths = sorted(map(int, rows))
        for axes, name in ((prefill, "prefill_tokens_per_s"), (decode, "decode_tokens_per_s")):
            speeds = [rows[str(length)][name] for length in lengths]
            axes.plot(lengths, speeds, marker=MARKERS[engine], color=COLOURS[engine], label=label)
    for axes, title in ((prefill, "Reading, tokens a second"), (decode, "Writing, tokens a second")):
        axes.set(title=title, xlabel="tokens of prompt", ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    decode.legend(frameon=False, loc="lower left")
    shares = _shares([row["parts"] for row in result["rows"] if row["engine"] == "int8" and row.get("parts")])
    for place, share in enumerate(shares.values()):
        below = 0.0
        for part, shade in zip(PARTS, SHADES, strict=True):
            bar = parts.bar(place, share[part], bottom=below, color=shade, width=0.7)
            below += share[part]
            if place == 0:
                bar.set_label(part)
    parts.set(title="Where the time goes, %", xticks=range(len(shares)), xticklabels=shares)
    parts.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    parts.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(options.picture, metadata={"Date": None})


def _shares(rounds: list[dict]) -> dict[str, dict[str, float]]:
    """The median share of each part, in percent."""
    names = {"prefill": "reading 2,048", "decode_a_token": "writing at 1,000"}
    return {
        label: {
            part: 100 * statistics.median(each[kind][part] / each[kind]["all"] for each in rounds) for part in PARTS
        }
        for kind, label in names.items()
    }


if __name__ == "__main__":
    main()
