import gzip
import json
from dataclasses import replace

import pytest

from seriatim.evaluation.reasoning.humaneval import TASK, check, examples, judge
from seriatim.evaluation.reasoning.problems import read_problems
from tests.evaluation.data import SHARED
from tests.evaluation.reasoning.scripted import HUMANEVAL
from tests.programs.test_sandbox import isolated

[PROBLEM] = TASK.problems(HUMANEVAL)
RIGHT = "def double(n):\n    return half(4 * n)"
OFFICIAL = SHARED / "humaneval" / "HumanEval.jsonl.gz"
official = pytest.mark.skipif(not OFFICIAL.exists(), reason="needs shared/data/humaneval")


def fenced(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


def test_examples_are_the_docstrings() -> None:
    assert examples(PROBLEM) == [("double(2)", "4"), ("double(0)", "0")]
    assert examples(replace(PROBLEM, text="def double(n):\n    not python")) == []
    assert "candidate" not in json.dumps(examples(PROBLEM))


@isolated
def test_hidden_tests_decide() -> None:
    right = judge(fenced(RIGHT), PROBLEM)
    assert (right.score, right.strict) == (1, 1)
    talking = judge(f"Sure!\n{fenced(RIGHT)}", PROBLEM)
    assert (talking.score, talking.strict) == (1, 0)
    assert judge(f"~~~\n{RIGHT}\n~~~", PROBLEM).strict == 1
    twice = judge(f"{fenced(RIGHT)}\n{fenced(RIGHT)}", PROBLEM)
    assert (twice.score, twice.strict) == (1, 0)
    wrong = judge(fenced("def double(n):\n    return 4 if n == 2 else 0"), PROBLEM)
    assert (wrong.score, wrong.error) == (0, "AssertionError")
    assert "SyntaxError" in judge("I cannot do that, sorry!", PROBLEM).error


@isolated
@pytest.mark.parametrize("cheat", ["import os; os._exit(0)", "raise SystemExit(0)", "check = print"])
def test_leaving_early_is_not_passing(cheat: str) -> None:
    assert judge(fenced(f"def double(n):\n    return 0\n{cheat}"), PROBLEM).score == 0


@isolated
def test_what_a_program_does_as_a_script_is_not_run() -> None:
    script = f"{RIGHT}\n\nif __name__ == '__main__':\n    print(double(int(input())))"
    assert judge(fenced(script), PROBLEM).score == 1


@isolated
def test_the_check_runs_the_docstrings_examples_alone() -> None:
    assert check("", fenced(RIGHT), PROBLEM) is None
    assert check("", fenced("def double(n):\n    return 4 if n == 2 else 0"), PROBLEM) is None  # hidden tests would not
    fault = check("thought", fenced("def double(n):\n    return n + 1"), PROBLEM)
    assert fault
    assert fault.kept == "thought"
    assert "double(2) is 3, but must be 4." in fault.found
    assert "def double(n):\n    return n + 1" in fault.found
    raising = check("", fenced("def double(n):\n    return m"), PROBLEM)
    assert raising
    assert "double(2) raises NameError, but must be 4." in raising.found
    broken = check("", fenced("def double(n:"), PROBLEM)
    assert broken
    assert "does not run" in broken.found
    missing = check("", "", PROBLEM)
    assert missing
    assert "no function" in missing.found


@isolated
def test_votes_are_for_what_code_does() -> None:
    same = TASK.vote(fenced("def double(n):\n    return n + n"), PROBLEM)
    assert same is not None
    assert same == TASK.vote(fenced(RIGHT), PROBLEM) != TASK.vote(fenced("def double(n):\n    return 0"), PROBLEM)
    assert TASK.vote("def double(", PROBLEM) is None


@official
def test_the_official_data_is_read() -> None:
    read = read_problems(TASK, OFFICIAL)
    assert read_problems(TASK, OFFICIAL.parent) == read
    assert len(read.problems) == 164
    assert sum(bool(examples(each)) for each in read.problems) == 69


@official
@isolated
def test_official_solutions_pass_and_none_without_work() -> None:
    rows = [json.loads(line) for line in gzip.decompress(OFFICIAL.read_bytes()).splitlines()]
    for row, problem in list(zip(rows, read_problems(TASK, OFFICIAL).problems, strict=True))[::16]:
        assert judge(row["canonical_solution"], problem).score == 1, problem.id
        assert judge(row["prompt"] + row["canonical_solution"], problem).score == 1, problem.id
        assert judge("    pass", problem).score == 0, problem.id
        assert check("", row["canonical_solution"], problem) is None, problem.id
