from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seriatim.training.metrics import read_metrics
from seriatim.training.minidag import evaluate, rounds
from seriatim.training.minidag.config import read_config
from seriatim.training.minidag.evaluate import Outcome
from seriatim.training.minidag.padding import padded
from seriatim.training.minidag.prompts import begun
from seriatim.training.minidag.task import Problem, check
from seriatim.training.minidag.train import arm_data, train
from seriatim.training.minidag.vocabulary import tokenizer
from seriatim.training.reflection.segments import encode, read_examples
from seriatim.training.reflection.template import response
from tests.training.minidag.test_train import TINY


def mistaken(_model: object, _symbols: object, tests: list[Problem], **_named: object) -> list[Outcome]:
    """Responses whose last step has a wrong result."""
    outcomes = []
    for problem in tests:
        wrong = str((int(problem.answer) + 1) % 10)
        last = problem.steps[-1][:-1] + wrong
        text = begun(problem, [*problem.steps[:-1], last]) + f"</thinking>\n<output>\n{wrong}\n</output>"
        outcomes.append(Outcome(text, check(problem, text), 9))
    return outcomes


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(evaluate, "MOST", 12)


def test_a_round_teaches_from_the_models_own_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "solve", mistaken)
    config = read_config(TINY)
    few = replace(config, schedule=replace(config.schedule, steps=2))
    start = train(few, tmp_path / "start").checkpoint
    settings = rounds.Round(steps=4, problems=5, samples=2, confirm=0)
    trained = rounds.go_on(config, start, tmp_path / "round", settings)
    assert trained.step == 4
    examples = list(read_examples(tmp_path / "round" / "mined.jsonl"))
    assert len(examples) == 5
    for example in examples:
        assert [each.role for each in example.segments][-3:] == ["error", "reflection", "output"]
        assert "</reflection>\n</thinking>" in response(example.segments)
    made = padded([encode(each, tokenizer()) for each in examples]).ids_BT
    data = arm_data(config, tmp_path / "round")
    mixed = rounds.MixedData(**{**vars(data), "mined": (padded([encode(examples[0], tokenizer())]),)})
    assert mixed.batch(1).ids_BT.shape[0] == 1
    assert mixed.batch(2).ids_BT.tolist() == data.batch(2).ids_BT.tolist()
    assert made.shape[0] == 5
    assert len(read_metrics(tmp_path / "round")) == 4


def test_the_control_mines_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "solve", lambda *_args, **_named: pytest.fail("it was asked"))
    config = read_config(TINY)
    few = replace(config, schedule=replace(config.schedule, steps=2))
    start = train(few, tmp_path / "start").checkpoint
    assert rounds.go_on(config, start, tmp_path / "control", rounds.Round(steps=2), control=True).step == 2
    assert not (tmp_path / "control" / "mined.jsonl").exists()
