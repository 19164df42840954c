"""Code is right when its tests pass, in the sandbox."""

from seriatim.programs.answers import solution
from seriatim.programs.sandbox import execute
from seriatim.training.reflection.attempts import Attempt, Verdict, Verifier


def unit_tests(prompt: str, entry_point: str, tests: str) -> Verifier:
    """The verifier of attempts whose output is code that makes a function of `prompt`, its beginning. `tests` define
    `check`, which takes the function, as in HumanEval. Raises `SeriatimError` where code cannot be run in isolation."""

    def verify(tried: Attempt) -> Verdict:
        done = execute(f"{solution(tried.output, prompt, entry_point)}\n{tests}\ncheck({entry_point})\n")
        return Verdict(True) if done.finished else Verdict(False, None, f"The tests fail: {done.error}.")

    return verify
