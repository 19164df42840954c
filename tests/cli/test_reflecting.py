"""`seriatim train show|mine|reflect`: from nothing to examples, and to a model that can be asked."""

import json
import shlex
from pathlib import Path

import pytest

from seriatim.training.metrics import read_metrics
from seriatim.training.reflection.segments import Example, read_examples, write_examples
from seriatim.training.reflection.template import Segment
from tests.cli.terminal import seriatim
from tests.models.olmoe_folder import make_checkpoint
from tests.olmoe.test_tokenizer import TINY

GSM = [
    {"question": "Ann has 2 apples and buys 3. How many?", "answer": "She has 2+3=<<2+3=5>>5 apples.\n#### 5"},
    {"question": "Ben reads 4 pages a day. How many in 6 days?", "answer": "He reads 4*6=<<4*6=24>>24.\n#### 24"},
]
MINE = """
out = "made.jsonl"
[task]
name = "gsm8k"
data = "train.jsonl"
benchmarks = ["test.jsonl"]
[maker]
maker = "injection"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GSM))
    (tmp_path / "test.jsonl").write_text(json.dumps(GSM[1]) + "\n")
    (tmp_path / "mine.toml").write_text(MINE)
    segments = (Segment("2+2=5", "error", train=False), Segment("2+2=4", "reflection"), Segment("4", "output"))
    write_examples(tmp_path / "data.jsonl", [Example("2+2?", segments), Example("no output", segments[:2])])
    TINY._tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_examples_are_shown_with_what_is_masked(folder: Path) -> None:
    shown = seriatim("train", "show", "data.jsonl", "--tokenizer", "tokenizer.json", folder=folder)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "⟦2+2=5\n⟧<reflection>\n2+2=4\n</reflection>\n" in shown.stdout
    assert "1 dropped: it does not end in its one output" in shown.stdout
    told = json.loads(
        seriatim("train", "show", "data.jsonl", "--tokenizer", "tokenizer.json", "--json", folder=folder).stdout
    )
    assert told["examples"] == 1
    assert 0 < told["learned_tokens"] < told["tokens"]


def test_examples_are_made_and_decontaminated(folder: Path) -> None:
    made = seriatim("train", "mine", "mine.toml", "--json", folder=folder)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["examples"], told["responses"], told["contaminated"]) == (1, {"injected": 1}, {"8": 1, "13": 0})
    (example,) = read_examples(folder / "made.jsonl")
    assert example.question == GSM[0]["question"]
    assert "1 examples: " in seriatim("train", "mine", "mine.toml", folder=folder).stdout


def test_a_model_is_taught_from_nothing_and_asked(folder: Path) -> None:
    tiny = (Path(__file__).parents[1] / "training" / "minidag" / "tiny.toml").read_text()
    (folder / "minidag.toml").write_text(tiny)
    taught = seriatim(
        "train", "reflect", "minidag.toml", "--run", "run", "--problems", "2", "--json", folder=folder
    )  # fmt: skip
    assert taught.returncode == 0, taught.stderr
    told = json.loads(taught.stdout)
    assert told["step"] == 12
    assert told["example"].count("?") == 1
    assert json.loads((folder / "run" / "command.json").read_text())["options"] == {"problems": 2}
    again = seriatim("train", "resume", "run", "--json", folder=folder)
    assert json.loads(again.stdout) == told
    command = seriatim("train", "resume", "run", folder=folder).stdout.partition("seriatim model generate ")[2]
    example, *options = shlex.split(command)
    assert options == ["--model", "run/last", "--begin", told["begin"]]
    asked = seriatim("model", "generate", example, *options, folder=folder)
    assert asked.returncode == 0, asked.stderr
    assert (told["begin"] + asked.stdout).startswith(told["response"])


REFLECT = """
[model]
start = "start"
[data]
train = "made.jsonl"
max_length = 2000
[lora]
rank = 4
attention = true
[run]
learning_rate = 1e-2
epochs = 30
batch_size = 2
"""


def test_a_checkpoint_is_taught_exported_and_asked(folder: Path, papers: Path) -> None:
    pytest.importorskip("trl", reason="tuning needs TRL: pip install '.[tune]'")
    make_checkpoint(folder / "start")
    (folder / "reflect.toml").write_text(REFLECT)
    (folder / "mine.toml").write_text(MINE.replace('benchmarks = ["test.jsonl"]', 'system = "Correct yourself."'))
    for command in (
        ("train", "mine", "mine.toml"), ("train", "reflect", "reflect.toml", "--run", "run", "--steps", "29"),
        ("train", "resume", "run"), ("train", "export", "run", "--out", "taught", "--gguf"),
    ):  # fmt: skip
        done = seriatim(*command, folder=folder)
        assert done.returncode == 0, done.stderr
    losses = [row["loss"] for row in read_metrics(folder / "run")]
    assert losses[-1] < losses[0] / 2
    # It writes the protocol by itself, from the chat layout that it was taught in.
    written = seriatim(
        "model", "generate", f"{GSM[0]['question']}\n\nThe output is the final number alone.", "--system",
        "Correct yourself.", "--model", "taught", "--max-tokens", "200", folder=folder,
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    assert written.stdout.startswith("<thinking>\n")
    asked = seriatim(
        "ask", "Who kept the log?", "--in", str(papers), "--model", "taught.gguf", "--effort", "fast", "--tokens",
        "200", "--json", folder=folder,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["thinking"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("show", "none.jsonl", "--tokenizer", "tokenizer.json"), 1, "cannot be read from none.jsonl"),
        (("show", "mine.toml", "--tokenizer", "tokenizer.json"), 1, "line 1 is no example"),
        (("mine", "none.toml"), 2, "cannot be read from none.toml"),
        (("mine", "bad.toml"), 2, "maker.model is missing"),
        (("reflect", "mine.toml", "--run", "run"), 2, "out is no setting"),
    ],
)
def test_wrong_use_is_one_line(folder: Path, arguments: tuple[str, ...], status: int, told: str) -> None:
    (folder / "bad.toml").write_text(MINE.replace("injection", "mining"))
    done = seriatim("train", *arguments, folder=folder)
    assert done.returncode == status
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "run").exists()
