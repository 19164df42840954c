"""How a problem is asked, and how a response to it begins."""

from collections.abc import Sequence

from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.minidag.task import Problem
from seriatim.training.reflection.template import conversation


def asked(problem: Problem, tokenizer: Tokenizer, prefix: str = "") -> list[int]:
    """The ids of a problem as it is asked, and of the response's beginning."""
    return tokenizer.chat(conversation(problem.prompt), prefix)


def begun(problem: Problem, steps: Sequence[str]) -> str:
    """A response with the right plan, up to the end of these lines."""
    return f"<thinking>\n<plan>\n{problem.plan}\n</plan>\n" + "".join(f"{line}\n" for line in steps)
