from seriatim.models.generator import Message
from seriatim.reflection.prompts import REFLECTIVE
from seriatim.reflection.prompts import conversation as served
from seriatim.training.reflection.grounded import grounded
from seriatim.training.reflection.segments import fault
from seriatim.training.reflection.template import conversation
from tests.training.reflection.verifiers.test_others import context

CONTEXT = context("The harbour was quiet in March.", "Captain Ayres signed the lease in 1912.")
WRONG, RIGHT = "Captain Ayres signed the lease in 1915 [2].", "Captain Ayres signed the lease in 1912 [2]."


def test_a_draft_that_the_check_refuses_is_corrected_by_what_it_found() -> None:
    example = grounded(CONTEXT, WRONG, RIGHT)
    assert example is not None
    assert fault(example) is None
    assert [(each.role, each.train) for each in example.segments] == [
        ("error", False), ("reflection", True), ("output", True),
    ]  # fmt: skip
    assert "1915" in example.segments[1].text


def test_it_is_asked_as_ask_asks() -> None:
    example = grounded(CONTEXT, WRONG, RIGHT)
    assert example is not None
    asked: list[Message] = conversation(example.question, example.system, example.instruction)
    assert asked == served(CONTEXT, REFLECTIVE)


def test_nothing_comes_of_a_right_draft_or_a_wrong_correction() -> None:
    assert grounded(CONTEXT, RIGHT, RIGHT) is None
    assert grounded(CONTEXT, WRONG, WRONG) is None
    assert grounded(CONTEXT, RIGHT, WRONG) is None
