"""MiniDAG: every step is checked exactly, see `training.minidag.task`."""

from seriatim.training.minidag.task import Problem, check_step
from seriatim.training.reflection.attempts import Attempt, Verdict, Verifier


def minidag(problem: Problem) -> Verifier:
    """The verifier of attempts at `problem`: each step follows from the definitions and the steps before it, and the
    output is the query's value."""

    def verify(tried: Attempt) -> Verdict:
        known: dict[str, str] = {}
        for place, step in enumerate(tried.steps):
            if not check_step(problem, step, known):
                return Verdict(False, place)
            known[step[0]] = step[-1]
        return Verdict(tried.output == problem.answer and problem.query in known)

    return verify
