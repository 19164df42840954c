"""Runs: nothing asked twice, whatever stops them."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seriatim.errors import ModelError, SeriatimError, UsageError
from seriatim.evaluation import records
from seriatim.evaluation.datasets import Dataset, read_dataset
from seriatim.evaluation.runs import Plan, run
from seriatim.evaluation.summary import summary
from seriatim.evaluation.tasks import find_task
from seriatim.retrieval import embedders
from tests.evaluation.data import LEVAL, Echo, write_rows
from tests.retrieval.conftest import ORCHARD, VOYAGE

PLAN = Plan(find_task("natural_question"), "document", (128, 256), effort="fast")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return read_dataset(PLAN.task, write_rows(tmp_path / "natural_question.jsonl", LEVAL))


def without_times(rows: Sequence[records.Row]) -> list[dict[str, Any]]:
    times = ("retrieve_s", "prefill_s", "generate_s", "cached")
    return [{name: value for name, value in row.items() if name not in times} for row in rows]


def test_a_row_says_what_was_read_said_and_spent(tmp_path: Path, dataset: Dataset) -> None:
    reader = Echo()
    made = run(PLAN, dataset, reader, "echo", tmp_path / "run")
    assert len(made.rows) == len(reader.prompts) == 10
    row = made.at(128)["natural_question/0/1"]
    assert (row["prediction"], row["references"]) == ("called?", ["Bishop"])
    assert (row["score"], row["coverage"]) == (0, 1)
    assert 0 < row["context_tokens"] <= 128
    assert (row["prefill_s"], row["generate_s"], row["completion_tokens"]) == (0.5, 0.25, 1)
    settings = made.settings
    assert (settings["order"], settings["reader"], settings["effort"]) == ("document", "echo", "fast")
    assert settings["prompt"] == PLAN.task.prompt
    lines = summary(made)["budgets"]
    assert [line["tokens"] for line in lines] == [128, 256]
    assert [line["n"] for line in lines] == [5, 5]
    assert lines[0]["seconds"] > 0.75


def test_the_same_run_again_asks_nothing(tmp_path: Path, dataset: Dataset) -> None:
    first = run(PLAN, dataset, Echo(), "echo", tmp_path / "run")
    again = Echo()
    assert run(PLAN, dataset, again, "echo", tmp_path / "run").rows == first.rows
    assert again.prompts == []


def test_more_questions_and_budgets_are_added(tmp_path: Path, dataset: Dataset) -> None:
    run(replace(PLAN, tokens=(128,), limit=2), dataset, Echo(), "echo", tmp_path / "run")
    reader = Echo()
    made = run(PLAN, dataset, reader, "echo", tmp_path / "run")
    assert len(reader.prompts) == 8
    assert without_times(sorted(made.rows, key=str)) == without_times(
        sorted(run(PLAN, dataset, Echo(), "echo", tmp_path / "other").rows, key=str)
    )


def test_another_run_with_the_same_prompt_does_not_ask_it_again(tmp_path: Path, dataset: Dataset) -> None:
    closed = replace(PLAN, arm="closed")
    first = run(closed, dataset, Echo(), "echo", tmp_path / "a")
    reader = Echo()
    second = run(closed, dataset, reader, "echo", tmp_path / "b")
    assert reader.prompts == []
    assert [row["cached"] for row in second.rows] == [True] * 5
    assert without_times(second.rows) == without_times(first.rows)
    other = Echo()
    run(closed, dataset, other, "another reader", tmp_path / "c")
    assert len(other.prompts) == 5


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, arm="relevance"),
        replace(PLAN, seed=1),
        replace(PLAN, stitch_words=9),
        replace(PLAN, effort="balanced"),
    ],
)
def test_a_run_is_not_mixed_with_another(tmp_path: Path, dataset: Dataset, other: Plan) -> None:
    before = run(PLAN, dataset, Echo(), "echo", tmp_path / "run")
    with pytest.raises(UsageError, match="choose another folder with --run"):
        run(other, dataset, Echo(), "echo", tmp_path / "run")
    assert records.read_run(tmp_path / "run") == before


def test_whole_documents_and_none(tmp_path: Path, dataset: Dataset) -> None:
    full, closed = Echo(), Echo()
    made = run(replace(PLAN, arm="full", tokens=(100_000,)), dataset, full, "echo", tmp_path / "full")
    assert VOYAGE in full.prompts[0]
    assert ORCHARD in full.prompts[-1]
    assert {row["coverage"] for row in made.rows} == {1}
    run(replace(PLAN, arm="closed"), dataset, closed, "echo", tmp_path / "closed")
    assert all(prompt.startswith("Read the book below and answer a question.\n\n\n\n") for prompt in closed.prompts)


def test_a_document_too_long_for_the_reader_loses_its_middle(tmp_path: Path, dataset: Dataset) -> None:
    reader = Echo()
    reader.context_tokens = 200
    run(replace(PLAN, arm="full", tokens=(100_000,)), dataset, reader, "echo", tmp_path / "run")
    for prompt in reader.prompts:
        assert reader.count_tokens(prompt) <= 200 - PLAN.task.max_tokens
    assert "# The voyage of the Petrel" in reader.prompts[0]
    assert VOYAGE.strip()[-40:] in reader.prompts[0]


def test_without_a_reader_the_passages_are_judged(tmp_path: Path, dataset: Dataset) -> None:
    made = run(PLAN, dataset, None, "none", tmp_path / "run")
    assert all("score" not in row and row["coverage"] is not None for row in made.rows)
    assert summary(made)["budgets"][0]["score"] is None
    with pytest.raises(UsageError, match="without a reader"):
        run(replace(PLAN, arm="closed"), dataset, None, "none", tmp_path / "closed")


def test_another_model_behind_the_same_address_is_asked_itself(tmp_path: Path, dataset: Dataset) -> None:
    run(PLAN, dataset, Echo(), "http://127.0.0.1:8000/v1", tmp_path / "one")
    other = Echo()
    other.name = "another"
    made = run(PLAN, dataset, other, "http://127.0.0.1:8000/v1", tmp_path / "other")
    assert len(other.prompts) == 10
    assert not any(row["cached"] for row in made.rows)


def test_a_larger_limit_asks_over_the_same_stitched_documents(tmp_path: Path, dataset: Dataset) -> None:
    plan = replace(PLAN, tokens=(128,), stitch_words=400)
    run(replace(plan, limit=1), dataset, None, "none", tmp_path / "run")
    made = run(plan, dataset, None, "none", tmp_path / "run")
    assert len(made.rows) == 5
    whole = run(plan, dataset, None, "none", tmp_path / "whole")
    assert {row["question_id"]: row["passages"] for row in made.rows} == {
        row["question_id"]: row["passages"] for row in whole.rows
    }


def test_a_run_names_the_embedder_that_ranked(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(PLAN, dataset, None, "none", tmp_path / "fast").settings["embedder"] is None
    plan = replace(PLAN, effort="balanced")
    assert plan.ranked_by == "minilm"
    assert replace(plan, arm="closed").ranked_by is None

    def missing(name: str, **_: object) -> None:
        raise ModelError(f"{name} cannot be fetched")

    monkeypatch.setattr(embedders, "open_embedder", missing)
    with pytest.raises(ModelError, match="minilm cannot be fetched"):  # else the rows would be of another ranking
        run(plan, dataset, None, "none", tmp_path / "balanced")


def test_the_whole_document_costs_its_tokens(tmp_path: Path, dataset: Dataset) -> None:
    made = run(replace(PLAN, arm="full", tokens=(100,)), dataset, Echo(), "echo", tmp_path / "run")
    assert all(90 <= row["context_tokens"] <= 101 for row in made.rows)


def test_a_stitched_document_holds_several(tmp_path: Path, dataset: Dataset) -> None:
    made = run(replace(PLAN, stitch_words=400), dataset, None, "none", tmp_path / "run")
    apart = run(PLAN, dataset, None, "none", tmp_path / "apart")
    passages = [max(index for row in each.rows for index, _ in row["passages"]) for each in (made, apart)]
    assert passages[0] > passages[1]
    # A row names the question's own document: of one stitched document no bootstrap could draw several.
    assert [row["document"] for row in made.rows] == [row["document"] for row in apart.rows]
    assert {row["coverage"] for row in made.at(256).values()} == {1}


def test_a_torn_row_is_asked_again_and_a_damaged_one_is_told(tmp_path: Path, dataset: Dataset) -> None:
    whole = run(PLAN, dataset, Echo(), "echo", tmp_path / "run")
    rows = tmp_path / "run" / records.ROWS
    data = rows.read_bytes()
    rows.write_bytes(data[:-20])
    assert len(records.read_run(tmp_path / "run").rows) == 9
    assert without_times(run(PLAN, dataset, Echo(), "echo", tmp_path / "run").rows) == without_times(whole.rows)
    rows.write_bytes(b"{}garbage\n" + data)
    with pytest.raises(SeriatimError, match=r"rows\.jsonl, line 1: damaged"):
        run(PLAN, dataset, Echo(), "echo", tmp_path / "run")
    assert rows.read_bytes() == b"{}garbage\n" + data


def test_two_processes_do_not_share_a_run(tmp_path: Path, dataset: Dataset) -> None:
    made = run(PLAN, dataset, Echo(), "echo", tmp_path / "run")
    with records.opened(tmp_path / "run", made.settings), pytest.raises(UsageError, match="another process"):
        run(PLAN, dataset, Echo(), "echo", tmp_path / "run")


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run in"):
        records.read_run(tmp_path)


def test_kills_lose_nothing_and_ask_nothing_twice(tmp_path: Path, own_home: Path) -> None:
    data = write_rows(
        tmp_path / "d.jsonl",
        [
            LEVAL[0]
            | {"instructions": [f"What did the {n}th barrel sell for?" for n in range(60)], "outputs": ["Bishop"] * 60}
        ],
    )
    command = [sys.executable, "-m", "seriatim", "eval", "run", "--task", "natural_question", "--effort", "fast"]
    command += ["--data", str(data), "--tokens", "128,256,384"]
    whole = subprocess.run([*command, "--run", str(tmp_path / "whole"), "--json"], check=True, capture_output=True)
    assert [line["n"] for line in json.loads(whole.stdout)["budgets"]] == [60, 60, 60]
    killed, kills = tmp_path / "killed", 0
    moments = random.Random(0)
    for _ in range(60):
        process = subprocess.Popen([*command, "--run", str(killed)], stdout=subprocess.DEVNULL)
        before = _length(killed)
        while process.poll() is None and _length(killed) <= before:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        if kills >= 3:
            break
    subprocess.run([*command, "--run", str(killed)], check=True, capture_output=True)
    assert kills
    assert without_times(records.read_run(killed).rows) == without_times(records.read_run(tmp_path / "whole").rows)


def _length(run_folder: Path) -> int:
    file = run_folder / records.ROWS
    return file.stat().st_size if file.exists() else 0


@pytest.mark.model
def test_a_real_reader_is_run(tmp_path: Path, reader_path: Path) -> None:
    data = write_rows(tmp_path / "natural_question.jsonl", LEVAL)
    command = [sys.executable, "-m", "seriatim", "eval", "run", "--task", "natural_question", "--effort", "fast"]
    command += ["--reader", str(reader_path), "--data", str(data), "--tokens", "256", "--limit", "2", "--json"]
    done = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=tmp_path).stdout)
    [line] = done["budgets"]
    assert line["n"] == 2
    assert line["score"] is not None
    assert 100 < line["prompt_tokens"] < 600
    assert line["seconds"] > 0
    assert (tmp_path / "runs" / f"natural_question-{reader_path.stem}-document" / "rows.jsonl").exists()
