"""A maker's run: what is asked is checked first, and a run that was stopped asks nothing twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from seriatim.errors import ModelError, TrainingError, UsageError
from seriatim.files import claimed
from seriatim.training.reflection import making
from seriatim.training.reflection.attempts import Attempt, segments
from seriatim.training.reflection.config import MineConfig, read_config
from seriatim.training.reflection.making import Made, make
from seriatim.training.reflection.segments import read_examples
from seriatim.training.reflection.template import response
from tests.reflection.scripted import Scripted

CONFIG = """
out = "made/mined.jsonl"
[task]
name = "gsm8k"
data = "train.jsonl"
benchmarks = ["test.jsonl"]
[maker]
model = "scripted.gguf"
samples = 2
confirm = 0.5
"""
QUESTIONS = [f"Ann has {n} apples and buys as many again, then gives none away. How many?" for n in range(2, 6)]


def written(n: int, result: int) -> str:
    """A response to the question of `n` apples."""
    text = response(segments(Attempt("double it", (f"<<{n}*2={result}>>{result}.",), str(result))))
    return text.removeprefix("<thinking>\n")


# The first of two responses to each question is wrong, and the second one right.
RESPONSES = [text for n in range(2, 6) for text in (written(n, 2 * n + 1), written(n, 2 * n))]


class Stopped(Scripted):
    """Breaks off when it has played all of its texts."""

    def stream(self, *asked: object, **how: object) -> object:  # type: ignore[override]
        if not self.texts:
            raise ModelError("the model is gone")
        return super().stream(*asked, **how)  # type: ignore[arg-type]


@pytest.fixture
def config(tmp_path: Path) -> MineConfig:
    rows = [{"question": each, "answer": f"#### {2 * n}"} for n, each in enumerate(QUESTIONS, start=2)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "What is the largest number below eleven?"}) + "\n")
    (tmp_path / "mine.toml").write_text(CONFIG)
    return read_config(tmp_path / "mine.toml")


def made(config: MineConfig, model: Scripted, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(making, "open_generator", lambda *_args, **_named: model)
    return make(config)


@pytest.mark.parametrize("stopped", [1, 2, 5, 7])
def test_a_run_that_was_stopped_asks_nothing_twice(
    config: MineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    whole = made(replace(config, out="whole.jsonl"), Scripted(*RESPONSES), monkeypatch)
    with pytest.raises(ModelError, match="is gone"):
        made(config, Stopped(*RESPONSES[:stopped]), monkeypatch)
    kept = tmp_path / "made" / "mined.responses.jsonl"
    assert len(kept.read_text().splitlines()) == stopped
    with kept.open("a") as file:
        file.write('{"asked": "of a ki')
    going = Stopped(*RESPONSES[stopped:])
    again = made(config, going, monkeypatch)
    assert going.texts == []
    assert (again.examples, again.responses) == (whole.examples, whole.responses)
    assert again.file.read_bytes() == whole.file.read_bytes()
    # More problems, or the same once more, ask what is new alone.
    assert made(config, Stopped(), monkeypatch) == again


def test_other_questions_are_asked(config: MineConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    made(config, Scripted(*RESPONSES), monkeypatch)
    warmer = replace(config, maker=replace(config.maker, temperature=1.0))
    with pytest.raises(ModelError, match="is gone"):
        made(warmer, Stopped(), monkeypatch)


def test_what_a_benchmark_asks_is_not_asked(
    config: MineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": QUESTIONS[0]}) + "\n")
    few = replace(config, task=replace(config.task, words=13))
    model = Scripted(*RESPONSES[2:])
    assert made(few, model, monkeypatch).contaminated == {8: 4, 13: 1}
    assert QUESTIONS[0] not in model.prompts
    assert {each.question for each in read_examples(tmp_path / few.out)} == set(QUESTIONS[1:])


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("test.jsonl", None, "problems cannot be read from .*test.jsonl"),
        ("test.jsonl", '{"question": "What?"}\n{"q": 1}\n', "test.jsonl, line 2: there is no question"),
        ("train.jsonl", "{\n", "train.jsonl, line 1: not JSON"),
        ("train.jsonl", '{"question": "What?"}\n', "train.jsonl, line 1: there is no answer in it"),
        ("train.jsonl", '{"question": "What?", "answer": "#### many"}\n', "line 1: there is no answer in it"),
    ],
)
def test_what_is_read_is_checked_before_a_model_is_asked(
    config: MineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str | None, told: str
) -> None:
    (tmp_path / file).unlink() if text is None else (tmp_path / file).write_text(text)
    model = Scripted(*RESPONSES)
    with pytest.raises(TrainingError, match=told):
        made(config, model, monkeypatch)
    assert model.prompts == []


def test_what_cannot_be_made_is_told(config: MineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"task\.words = 0 must be at least 1"):
        replace(config, task=replace(config.task, words=0))
    with pytest.raises(UsageError, match=r"out = \. is a folder"):
        made(replace(config, out="."), Scripted(), monkeypatch)
    with (
        claimed(tmp_path / "made" / ".mined.responses.jsonl.lock"),
        pytest.raises(UsageError, match="another process writes to"),
    ):
        made(config, Scripted(), monkeypatch)
