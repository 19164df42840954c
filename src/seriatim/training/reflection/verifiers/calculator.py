"""GSM8K: every equation that can be read is computed again, and the output compared with the gold answer as a number;
as evaluation does both, so that what is verified here is right there.

The data's own annotations, `<<a*b=c>>` (Cobbe et al., arXiv 2110.14168), are equations like others.
"""

from seriatim.arithmetic import first_wrong, number_in
from seriatim.training.reflection.attempts import Attempt, Verdict, Verifier


def calculator(gold: str) -> Verifier:
    """The verifier of attempts at a question whose answer is `gold`, a number (as behind GSM8K's `####`)."""
    wanted = number_in(gold)
    if wanted is None:
        raise ValueError(f"the gold answer {gold!r} is no number")

    def verify(tried: Attempt) -> Verdict:
        for place, step in enumerate(tried.steps):
            if wrong := first_wrong(step):
                left, _, right = wrong.text.rpartition("=")
                return Verdict(False, place, f"{left.strip()} is {wrong.value}, not {right.strip()}.")
        if number_in(tried.output) != wanted:
            return Verdict(False, None, "The calculations hold, but the answer is another.")
        return Verdict(True)

    return verify


def gold_answer(answer: str) -> str:
    """What stands behind `####` in an answer of the data set."""
    return answer.rpartition("####")[2].strip()


def gold_steps(answer: str) -> tuple[str, ...]:
    """The lines of an answer of the data set before `####`."""
    return tuple(line.strip() for line in answer.rpartition("####")[0].splitlines() if line.strip())
