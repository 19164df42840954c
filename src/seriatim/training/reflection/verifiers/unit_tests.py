"""Code is right when its tests pass. Who runs it is passed in: untrusted code belongs into a sandbox."""

import re
from collections.abc import Callable

from seriatim.training.reflection.attempts import Attempt, Verdict, Verifier

Runner = Callable[[str], str]
"""Runs a program of Python where it can do no harm; returns "" where it ends well, else in a line what went wrong."""

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


def unit_tests(tests: str, run: Runner, *, prompt: str = "") -> Verifier:
    """The verifier of attempts whose output is code, which `tests` must accept. `prompt` is code that stands before it
    where the output only goes on from it, as in HumanEval."""

    def verify(tried: Attempt) -> Verdict:
        program = code(tried.output)
        if prompt and not _defines_same(prompt, program):
            program = prompt + program
        wrong = run(f"{program}\n\n{tests}\n")
        return Verdict(not wrong, None, f"The tests fail: {wrong}" if wrong else "")

    return verify


def code(output: str) -> str:
    """The code in an output: the first fenced block, else all of it."""
    fenced = _FENCE.search(output)
    return fenced[1] if fenced else output


def _defines_same(prompt: str, program: str) -> bool:
    names = re.findall(r"^def[ \t]+(\w+)", prompt, re.MULTILINE)
    return bool(names) and re.search(rf"^def[ \t]+{re.escape(names[-1])}\b", program, re.MULTILINE) is not None
