"""Draw what `training_speed.py` measured: each shape beside transformers, and speed against the number of experts.

python benchmarks/plot_training_speed.py benchmarks/results/training_speed.json docs/training-speed.svg
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LABELS = {
    "transformers grouped_mm": "transformers",
    "transformers grouped_mm kept": "transformers, memory kept",
    "seriatim": "Seriatim",
}
SHADES = ("#d4b483", "#c1666b", "#0b6e4f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    result = json.loads(options.result.read_text())
    matplotlib.rcParams["svg.hashsalt"] = "seriatim"  # the same picture from the same figures
    figure, (beside, by_experts) = plt.subplots(1, 2, figsize=(10, 3.4))
    shapes = list(dict.fromkeys(row["shape"] for row in result["median"]))
    for place, (engine, label) in enumerate(LABELS.items()):
        speeds = [row["tokens_per_s"] for row in result["median"] if row["engine"] == engine]
        beside.bar([n + 0.27 * (place - 1) for n in range(len(shapes))], speeds, 0.25, color=SHADES[place], label=label)
    beside.set_xticks(range(len(shapes)), shapes)
    beside.set_title("Training, tokens a second")
    beside.legend(frameon=False)
    counts = [row["experts"] for row in result["by_experts"]]
    by_experts.plot(counts, [row["tokens_per_s"] for row in result["by_experts"]], marker="o", color=SHADES[2])
    by_experts.set(title="The same by the number of experts, 8 a token", xlabel="experts", xscale="log", ylim=(0, None))
    by_experts.set_xticks(counts, counts)
    by_experts.minorticks_off()
    for axes in (beside, by_experts):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(options.picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
