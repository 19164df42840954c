from seriatim.documents.document import Passage
from seriatim.retrieval.context import Context, Ranked
from seriatim.training.minidag.task import Definition, Problem
from seriatim.training.reflection.attempts import Attempt
from seriatim.training.reflection.verifiers.minidag import minidag
from seriatim.training.reflection.verifiers.quotation import quotation
from seriatim.training.reflection.verifiers.unit_tests import unit_tests
from tests.programs.test_sandbox import isolated

PROBLEM = Problem((Definition("f", "b", "+", "c"), Definition("b", "3", "+", "4"), Definition("c", "9", "-", "b")), "f")


def test_minidag_names_the_first_wrong_step() -> None:
    verify = minidag(PROBLEM)
    right = ("b=3+4=b7", "c=9-b7=c2", "f=b7+c2=f9")
    assert verify(Attempt("fcb", right, "9")).accepted
    assert verify(Attempt("fcb", (right[0], "c=9-b8=c1", right[2]), "9")).first_wrong == 1
    assert verify(Attempt("fcb", (right[1], *right), "9")).first_wrong == 0
    assert not verify(Attempt("fcb", right[:2], "9")).accepted
    assert not verify(Attempt("fcb", right, "8")).accepted


@isolated
def test_code_is_right_when_its_tests_pass() -> None:
    prompt = "import math\n\n\ndef double(n):\n"
    verify = unit_tests(prompt, "double", "def check(double):\n    assert double(2) == 4")
    assert verify(
        Attempt("", (), "```python\ndef double(n):\n    return math.ceil(2 * n)\n```\nThat doubles.")
    ).accepted
    assert verify(Attempt("", (), "    return 2 * n")).accepted
    wrong = verify(Attempt("", (), "def double(n):\n    return n"))
    assert (wrong.accepted, wrong.first_wrong, wrong.found) == (False, None, "The tests fail: AssertionError.")
    assert not verify(Attempt("", (), "def double(n) return")).accepted
    assert not verify(Attempt("", (), "def double(n):\n    import os\n    os._exit(0)")).accepted


def context(*texts: str) -> Context:
    passages = [Passage("ship.txt", n, 100 * n, 100 * n + len(text), None, text, 20) for n, text in enumerate(texts)]
    return Context("Who signed the lease?", tuple(Ranked(each, n + 1, 1.0) for n, each in enumerate(passages)), 40)


def test_answers_must_stand_in_their_passages() -> None:
    verify = quotation(context("The harbour was quiet in March.", "Captain Ayres signed the lease in 1912."))
    assert verify(Attempt("", (), "Captain Ayres signed the lease in 1912 [2].")).accepted
    wrong = verify(Attempt("", (), "Captain Ayres signed the lease in 1915 [2]."))
    assert not wrong.accepted
    assert "1915" in wrong.found
    assert not verify(Attempt("", (), "The passages do not say who signed it.")).accepted
