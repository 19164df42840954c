"""Reasoning runs: rows, costs, resumption, refusals."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation import records
from seriatim.evaluation.comparison import compare
from seriatim.evaluation.plots import draw
from seriatim.evaluation.reasoning import gsm8k, humaneval, mmlu
from seriatim.evaluation.reasoning.problems import Problems, read_problems
from seriatim.evaluation.reasoning.runs import Plan, run
from seriatim.evaluation.summary import summary
from seriatim.models.generator import Piece
from seriatim.programs import sandbox
from tests.evaluation.data import write_rows
from tests.evaluation.reasoning.scripted import GSM8K, HUMANEVAL, MMLU, Knowing, Scripted, reader
from tests.programs.test_sandbox import isolated

COT = Plan(gsm8k.TASK, "cot")
ANSWERS = ("Answer: 7", "Answer: $1,234", "It is -3")


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    return read_problems(gsm8k.TASK, write_rows(tmp_path / "test.jsonl", GSM8K))


def test_a_row_says_what_was_answered_and_spent(tmp_path: Path, problems: Problems) -> None:
    made = run(COT, problems, reader(Scripted(*ANSWERS)), tmp_path / "run")
    rows = made.at(640)
    assert [row["score"] for row in rows.values()] == [1, 1, 0]
    assert [row["strict_score"] for row in rows.values()] == [1, 1, 0]
    assert [row["format_failure"] for row in rows.values()] == [False, False, True]
    row = rows["gsm8k/0"]
    assert (row["answer"], row["completion_tokens"], row["truncated"], row["cached"]) == ("7", 2, False, False)
    [line] = summary(made)["budgets"]
    assert line["score"] == pytest.approx(200 / 3)
    assert line["format_failures"] == pytest.approx(100 / 3)
    assert line["truncated"] == 0
    low, high = line["wilson_95"]
    assert 0 < low < line["score"] < high < 100


def test_the_same_run_again_asks_nothing_and_a_larger_one_the_rest(tmp_path: Path, problems: Problems) -> None:
    run(replace(COT, limit=2), problems, reader(Scripted(*ANSWERS[:2])), tmp_path / "run")
    more = Scripted(ANSWERS[2])
    first = run(COT, problems, reader(more), tmp_path / "run")
    assert len(more.prompts) == 1
    nobody = Scripted()
    assert run(COT, problems, reader(nobody), tmp_path / "run").rows == first.rows
    with pytest.raises(UsageError, match="choose another folder with --run"):
        run(replace(COT, arm="plain"), problems, reader(nobody), tmp_path / "run")


def test_what_a_stopped_run_was_told_is_kept(tmp_path: Path, problems: Problems) -> None:
    with pytest.raises(IndexError):
        run(COT, problems, reader(Scripted(ANSWERS[0])), tmp_path / "run")
    assert len(records.read_run(tmp_path / "run").rows) == 1
    assert len(run(COT, problems, reader(Scripted(*ANSWERS[1:])), tmp_path / "run").rows) == 3


def test_an_address_is_asked_several_problems_together(tmp_path: Path, problems: Problems) -> None:
    class Together(Scripted):
        waits = Barrier(len(problems.problems), timeout=30)

        def stream(self, *given: Any, **named: Any) -> Iterator[Piece]:
            self.waits.wait()
            yield from super().stream(*given, **named)

    made = run(COT, problems, reader(Together(*ANSWERS)), tmp_path / "run", at_once=len(problems.problems))
    assert {row["question_id"] for row in made.rows} == {each.id for each in problems.problems}


def test_a_failure_ends_the_asking_of_several_together(tmp_path: Path, problems: Problems) -> None:
    many = replace(
        problems,
        problems=tuple(replace(problems.problems[0], id=str(number), text=f"{number}?") for number in range(40)),
    )
    one = Scripted(ANSWERS[0])
    with pytest.raises(IndexError):  # there is but one answer
        run(COT, many, reader(one), tmp_path / "run", at_once=2)
    assert len(one.prompts) < 10


def test_verified_does_not_ask_again_what_phased_has_asked(tmp_path: Path, problems: Problems) -> None:
    phased = Scripted("Add.", " 3 + 4 = 8", "8", "Add.", "It is", "1234", "Take away.", " 2 - 5 = -3", "-3")
    run(Plan(gsm8k.TASK, "phased"), problems, reader(phased), tmp_path / "phased")
    checking = Scripted("I see.", "So 7", "7")
    made = run(Plan(gsm8k.TASK, "verified"), problems, reader(checking), tmp_path / "verified")
    assert len(checking.prompts) == 3
    [line] = summary(made)["budgets"]
    assert (line["corrected"], line["harmed"]) == (1, 0)
    assert line["first_score"] == pytest.approx(200 / 3)
    assert line["score"] == 100


def test_runs_are_compared_and_drawn(tmp_path: Path, problems: Problems) -> None:
    cot = run(COT, problems, reader(Scripted(*ANSWERS)), tmp_path / "cot")
    plain = run(replace(COT, arm="plain"), problems, reader(Scripted("7", "1", "-3")), tmp_path / "plain")
    [compared] = compare(cot, plain)
    assert compared.mcnemar
    assert (compared.n, compared.mcnemar.only_a, compared.mcnemar.only_b) == (3, 1, 1)
    names = {file.stem for file in draw([cot, plain], tmp_path / "plots")}
    assert names == {f"gsm8k-{name}" for name in ("score", "seconds", "prompt_tokens", "completion_tokens")}


def test_self_consistency_spends_what_another_run_spent(tmp_path: Path, problems: Problems) -> None:
    run(COT, problems, reader(Scripted("Answer: 7", "so it is Answer: 5", "Answer: -3")), tmp_path / "cot")
    voting = Plan(gsm8k.TASK, "self-consistency", match=tmp_path / "cot")
    answers = ("Answer: 7", "so it", "is Answer: 1234", "Answer: -3")
    made = run(voting, problems, reader(Scripted(*answers)), tmp_path / "votes")
    assert [row["completion_tokens"] for row in made.rows] == [2, 5, 2]
    assert [row["score"] for row in made.rows] == [1, 1, 1]
    half = replace(COT, limit=1)
    run(half, problems, reader(Scripted()), tmp_path / "half")
    with pytest.raises(UsageError, match="lacks 2 of the 3 problems"):
        run(replace(voting, match=tmp_path / "half"), problems, reader(Scripted()), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("spent", [0, None])
def test_a_matched_budget_of_nothing(tmp_path: Path, problems: Problems, spent: int | None) -> None:
    made = run(COT, problems, reader(Scripted(*ANSWERS)), tmp_path / "cot")
    voting = Plan(gsm8k.TASK, "self-consistency", match=tmp_path / "cot")
    silent = [row | {"completion_tokens": spent} for row in made.rows]
    write_rows(tmp_path / "cot" / records.ROWS, [silent[0], *made.rows[1:]])
    voted = run(voting, problems, reader(Scripted("Answer: 7", "Answer: 1 2 3", "no mark here")), tmp_path / "votes")
    assert [(row["generations"], row["truncated"]) for row in voted.rows] == [(1, False)] * 3
    write_rows(tmp_path / "cot" / records.ROWS, silent)
    with pytest.raises(UsageError, match="did not say how many tokens it wrote"):
        run(voting, problems, reader(Scripted()), tmp_path / "other")


def test_nothing_is_drawn_with_two_seeds(tmp_path: Path, problems: Problems) -> None:
    drawn: list[set[int]] = []
    for seed in range(3):
        for plan, texts in ((replace(COT, samples=4), ["Answer: 7"] * 12),
                            (replace(COT, arm="self-consistency", tokens=(6,)), ["Answer: 7"] * 9)):  # fmt: skip
            model = Scripted(*texts)
            run(replace(plan, seed=seed), problems, reader(model), tmp_path / f"{plan.arm}-{seed}")
            drawn.append({each.seed for each in model.samplings})
    for arm in (drawn[::2], drawn[1::2]):
        assert len(set.union(*arm)) == sum(map(len, arm))


def test_several_samples_give_pass_at_k(tmp_path: Path, problems: Problems) -> None:
    plan = replace(COT, limit=1, samples=4)
    [problem] = problems.draw(1, 0).problems
    right = f"Answer: {problem.references[0]}"
    model = Scripted(right, "Answer: 0", right, "none")
    made = run(plan, problems, reader(model), tmp_path / "run")
    assert len({each.seed for each in model.samplings}) == 4
    [line] = summary(made)["budgets"]
    assert line["pass_at"] == {"1": 50, "4": 100}
    assert line["format_failures"] == 25


def test_letters_are_judged_by_their_probability(tmp_path: Path) -> None:
    problems = read_problems(mmlu.TASK, write_rows(tmp_path / "mmlu.jsonl", MMLU))
    model = Knowing(-3.0, -0.5, -2.0, -4.0)
    made = run(Plan(mmlu.TASK, "letters"), problems, reader(model), tmp_path / "letters")
    assert [row["score"] for row in made.rows] == [1, 1, 1]
    assert made.budgets == [0]
    assert model.prompts[0].endswith("What is 10 + 1?\nA. 10\nB. 11\nC. 12\nD. 13\nAnswer:")
    assert model.prompts[0].count("Answer: B") == 5
    alone = read_problems(mmlu.TASK, write_rows(tmp_path / "test.jsonl", MMLU[2:]))
    with pytest.raises(UsageError, match=r'3 of the 3 questions have fewer than 5 worked examples.*split "dev"'):
        run(Plan(mmlu.TASK, "letters"), alone, reader(model), tmp_path / "few")
    asked = run(Plan(mmlu.TASK, "plain"), problems, reader(Scripted("B", "A", "11")), tmp_path / "plain")
    with pytest.raises(UsageError, match="differ in judged_by"):
        compare(made, asked)
    with pytest.raises(UsageError, match="two measurements"):
        draw([made, asked], tmp_path / "plots")
    with pytest.raises(UsageError, match="does not tell how probable"):
        run(Plan(mmlu.TASK, "letters"), problems, reader(Scripted()), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan(gsm8k.TASK, "letters"), "letters is one of mmlu"),
        (Plan(mmlu.TASK, "verified"), "nothing to check an answer by"),
        (replace(COT, match=Path("nowhere")), "--match says"),
        (replace(COT, arm="self-consistency", samples=2), "leave --samples out"),
        (Plan(mmlu.TASK, "letters", (512,)), "leave --tokens out"),
        (Plan(gsm8k.TASK, "phased", (512, 8)), "64 tokens at least"),
        (replace(COT, samples=200_000), "at most 100,000 samples"),
        (replace(COT, arm="self-consistency", match=Path("nowhere")), "there is no run in nowhere"),
    ],
)
def test_plans_that_make_no_sense_are_refused(tmp_path: Path, problems: Problems, plan: Plan, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run(plan, problems, reader(Scripted()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@isolated
def test_code_is_run_and_what_was_wrong_with_it_kept(tmp_path: Path) -> None:
    problems = read_problems(humaneval.TASK, write_rows(tmp_path / "HumanEval.jsonl", HUMANEVAL))
    made = run(Plan(humaneval.TASK, "plain"), problems, reader(Scripted("    return n")), tmp_path / "run")
    [row] = made.rows
    assert (row["score"], row["error"], row["format_failure"]) == (0, "AssertionError", False)


def test_without_isolation_humaneval_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.require.cache_clear()
    problems = read_problems(humaneval.TASK, write_rows(tmp_path / "HumanEval.jsonl", HUMANEVAL))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SeriatimError, match="install bubblewrap"):
        run(Plan(humaneval.TASK, "plain"), problems, reader(Scripted("    return n")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
