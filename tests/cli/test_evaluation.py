import json
from pathlib import Path

import pytest

from tests.cli.terminal import seriatim
from tests.evaluation.data import LEVAL, write_rows
from tests.evaluation.reasoning.scripted import GSM8K
from tests.models.chat_server import chat_server

GSM8K_RUN = ("eval", "run", "--task", "gsm8k", "--reader", "http://127.0.0.1:9")
RUN = ("eval", "run", "--task", "natural_question", "--effort", "fast")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_rows(tmp_path / "quality.jsonl", [row | {"evaluation": "exam"} for row in LEVAL])
    return write_rows(tmp_path / "natural_question.jsonl", LEVAL)


def test_list_explains_tasks_and_orders() -> None:
    done = seriatim("eval", "list")
    for word in ("en_qa", "en_mc", "quality", "document", "LongContextReorder", "gsm8k", "humaneval", "verified"):
        assert word in done.stdout
    told = json.loads(seriatim("eval", "list", "--json").stdout)
    assert {each["task"] for each in told["tasks"]} >= {"en_qa", "en_mc", "legal_contract_qa"}
    assert set(told["orders"]) >= {"document", "relevance", "full", "closed"}
    assert {"gsm8k", "mmlu", "humaneval"} <= {each["task"] for each in told["tasks"]}
    assert set(told["arms"]) >= {"plain", "cot", "reflection", "verified", "self-consistency"}


def test_score_prints_the_contract(tmp_path: Path) -> None:
    rows = [{"prediction": "C. the ship", "ground_truth": ["the ship", "C"]}, {"prediction": "A", "label": ["x", "B"]}]
    file = write_rows(tmp_path / "predictions.jsonl", rows)
    done = seriatim("eval", "score", "--task", "en_mc", "--predictions", str(file), "--json")
    assert json.loads(done.stdout) == {"task": "en_mc", "metric": "accuracy", "score": 50, "strict_score": 50, "n": 2}
    assert "accuracy 50.0000" in seriatim("eval", "score", "--task", "en_mc", "--predictions", str(file)).stdout


def test_runs_are_made_compared_and_drawn(data: Path, tmp_path: Path) -> None:
    for order in ("document", "relevance"):
        done = seriatim(*RUN, "--data", str(data), "--order", order, "--tokens", "128,256", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"runs/natural_question-none-{order}" in done.stdout
    a, b = (str(tmp_path / "runs" / f"natural_question-none-{order}") for order in ("document", "relevance"))
    told = json.loads(seriatim("eval", "compare", a, b, "--by", "coverage", "--json").stdout)
    assert [each["difference"] for each in told["comparisons"]] == [0, 0]
    drawn = seriatim("eval", "plot", a, b, "--out", str(tmp_path / "plots"))
    assert [Path(line).suffix for line in drawn.stdout.split()] == [".svg", ".png"]
    assert "128" in seriatim("eval", "compare", a, b, "--by", "coverage").stdout


def test_a_reasoning_task_is_run_and_compared(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "test.jsonl", GSM8K)
    with chat_server() as server:
        for arm, text in (("cot", "3 + 4 = 7\nAnswer: 7"), ("plain", "1234")):
            for _ in GSM8K:
                server.says(text, prompt_tokens=20, completion_tokens=5)
            done = seriatim(
                "eval", "run", "--task", "gsm8k", "--arm", arm, "--reader", server.url, "--data", str(data),
                "--run", str(tmp_path / arm), folder=tmp_path,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert "33.3" in done.stdout
    told = json.loads(seriatim("eval", "compare", str(tmp_path / "cot"), str(tmp_path / "plain"), "--json").stdout)
    assert told["comparisons"][0]["n"] == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("eval", "run", "--task", "nothing"), "there is no task 'nothing'"),
        (("eval", "run", "--task", "quality"), "quality needs --data"),
        ((*RUN, "--data", "nowhere"), "cannot be read from nowhere"),
        ((*RUN, "--tokens", "12,x"), "x is no budget"),
        ((*RUN, "--tokens", ""), "no budget"),
        ((*RUN, "--order", "sideways"), "--order"),
        ((*RUN, "--data", "{data}", "--order", "closed"), "without a reader"),
        (("eval", "run", "--task", "quality", "--data", "{data}"), "holds no question that quality can score"),
        (
            ("eval", "run", "--task", "quality", "--data", "quality.jsonl"),
            "without a reader there is nothing to judge in quality",
        ),
        ((*RUN, "--data", "{data}", "--reader", "nobody"), "nobody"),
        ((*RUN, "--arm", "cot"), "natural_question has no arms: leave out --arm"),
        ((*GSM8K_RUN, "--arm", "sideways"), "--arm"),
        ((*RUN, "--samples", "1", "--match", "x"), "natural_question has no arms: leave out --samples and --match"),
        ((*GSM8K_RUN, "--order", "document"), "gsm8k has no documents: leave out --order"),
        ((*GSM8K_RUN, "--effort", "balanced"), "gsm8k has no documents: leave out --effort"),
        ((*GSM8K_RUN, "--passages", "tokens"), "gsm8k has no documents: leave out --passages"),
        ((*GSM8K_RUN, "--arm", "letters"), "letters is one of mmlu"),
        ((*GSM8K_RUN, "--data", "nowhere"), "cannot be read from nowhere"),
        (("eval", "run", "--task", "gsm8k"), "without a reader nobody answers gsm8k"),
        (("eval", "score", "--task", "en_qa", "--predictions", "nowhere"), "cannot be read from nowhere"),
        (("eval", "score", "--task", "gsm8k", "--predictions", "nowhere"), "gsm8k is scored as it is asked"),
        (("eval", "compare", "nowhere", "nowhere"), "there is no run in nowhere"),
        (("eval", "plot", "nowhere"), "there is no run in nowhere"),
    ],
)
def test_wrong_use_is_one_line(data: Path, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    filled = [each.replace("{data}", str(data)) for each in arguments]
    done = seriatim(*filled, folder=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.startswith("seriatim: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
