"""HumanEval (Chen et al., arXiv 2107.03374): Python functions from their docstrings, judged by hidden tests."""

import ast
import doctest
import json
from collections.abc import Sequence
from typing import Any

from seriatim.evaluation.datasets import text_of
from seriatim.evaluation.reasoning.problems import (
    Fault,
    HubFiles,
    Judgement,
    Problem,
    ReasoningTask,
)
from seriatim.programs import sandbox
from seriatim.programs.answers import FENCE, blocks, code_in, defines, solution

_SHOWN = 3  # failed examples that a reflection names

# Puts each example to the solution; what it gives is compared outside, where the solution cannot reach.
_TRIAL = """
RESULT = []
for _source in {sources}:
    try:
        RESULT.append(["gave", repr(eval(_source))[:500]])
    except Exception as _error:
        RESULT.append(["raised", type(_error).__name__])
"""


def judge(answer: str, problem: Problem) -> Judgement:
    """Whether the code of `answer` passes the hidden tests; strictly, it is one block of code and nothing else.

    Raises `SeriatimError` where code cannot be run in isolation.
    """
    test, entry_point = problem.references
    done = sandbox.execute(f"{solution(answer, problem.text, problem.references[1])}\n{test}\ncheck({entry_point})\n")
    if not done.finished:
        return Judgement(0.0, 0.0, done.error)
    bare = answer.strip()
    block = FENCE.match(bare)  # not `fullmatch`, which would take two blocks, and what is between them, for one
    alone = block.end() == len(bare) if block else not blocks(bare) and defines(bare, entry_point)
    return Judgement(1.0, float(alone))


def examples(problem: Problem) -> list[tuple[str, str]]:
    """The doctest examples of the problem's own docstring, as expression and expected result; the tests are hidden."""
    _test, entry_point = problem.references
    try:
        defined = [each for each in ast.parse(problem.text).body if isinstance(each, ast.FunctionDef)]
        docstrings = [ast.get_docstring(each) or "" for each in defined if each.name == entry_point]
        found = [each for text in docstrings for each in doctest.DocTestParser().get_examples(text)]
    except (SyntaxError, ValueError):  # a docstring that only people can read
        return []
    return [(each.source.strip(), each.want.strip()) for each in found if _is_expression(each.source) and each.want]


def check(thinking: str, answer: str, problem: Problem) -> Fault | None:
    """The examples of the docstring that the code of `answer` fails. None where there are none, or all pass."""
    if not answer.strip():
        return Fault(thinking, "There is no function in the output yet.")
    asked = examples(problem)
    program = solution(answer, problem.text, problem.references[1])
    done = sandbox.execute(program + _TRIAL.format(sources=json.dumps([source for source, _ in asked])))
    draft = code_in(answer, problem.references[1])
    if not done.finished:
        return Fault(thinking, f"This draft does not run:\n```python\n{draft}\n```\n{done.error}")
    failed = [
        f"{source} {'is' if how == 'gave' else 'raises'} {what}, but must be {want}."
        for (source, want), (how, what) in zip(asked, _outcomes(done.result, len(asked)), strict=True)
        if how != "gave" or not _same(what, want)
    ]
    if not failed:
        return None
    return Fault(thinking, f"This draft is wrong:\n```python\n{draft}\n```\n" + "\n".join(failed[:_SHOWN]))


def _outcomes(result: Any, count: int) -> list[tuple[str, str]]:
    """What the examples came to, as far as the solution has not put something else there."""
    if isinstance(result, list) and len(result) == count and all(isinstance(e, list) and len(e) == 2 for e in result):
        return [(str(how), str(what)) for how, what in result]
    return [("raised", "an error")] * count


def _vote(answer: str, problem: Problem) -> str | None:
    """What the code does with the docstring's examples; where there are none, the code without its layout."""
    asked = examples(problem)
    program = solution(answer, problem.text, problem.references[1])
    try:
        plain = ast.unparse(ast.parse(program))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    if not asked:
        return plain
    done = sandbox.execute(program + _TRIAL.format(sources=json.dumps([source for source, _ in asked])))
    return json.dumps(done.result) if done.finished else None


def _final(text: str, problem: Problem) -> str | None:
    return f"```python\n{code_in(text, problem.references[1])}\n```" if blocks(text) else None


def _problems(rows: Sequence[dict[str, Any]]) -> list[Problem]:
    return [
        Problem(text_of(row, "task_id"), text_of(row, "prompt"), (text_of(row, "test"), text_of(row, "entry_point")))
        for row in rows
    ]


def _is_expression(source: str) -> bool:
    try:
        ast.parse(source.strip(), mode="eval")
    except SyntaxError:
        return False
    return True


def _same(given: str, wanted: str) -> bool:
    """Whether two results are equal as they are written or as the values that they write."""
    if given == wanted:
        return True
    try:
        return bool(ast.literal_eval(given) == ast.literal_eval(wanted))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False


TASK = ReasoningTask(
    name="humaneval",
    about="HumanEval: 164 Python functions from their docstrings, judged by hidden tests in a sandbox",
    file="HumanEval.jsonl",
    hub=HubFiles(
        "openai/openai_humaneval", "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
        {"test": "openai_humaneval/test-00000-of-00001.parquet"},
    ),
    asked={
        "at once": "Complete this function. Reply with the whole function in one Python code block, and nothing else.",
        "step by step": "Complete this function. Think step by step. Then close with the whole function in one Python "
        "code block.",
        "in output": "Complete this function. The output is the whole function in one Python code block.",
    },
    problems=_problems,
    final=_final,
    judge=judge,
    vote=_vote,
    check=check,
    tokens=1280,
    output_tokens=384,
    runs_code=True,
)  # fmt: skip
