import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.evaluation.reasoning.mmlu import TASK, judge, letter_in
from tests.evaluation.reasoning.scripted import MMLU


def test_questions_carry_five_examples_of_their_subject() -> None:
    problems = TASK.problems(MMLU)
    assert [each.id for each in problems] == [f"mmlu/elementary_mathematics/{n}" for n in range(3)]
    first = problems[0]
    assert first.text == "What is 10 + 1?\nA. 10\nB. 11\nC. 12\nD. 13"
    assert first.references == ("11", "B")
    assert first.shots.startswith(
        "The following are multiple choice questions (with answers) about elementary mathematics.\n\n"
        "What is 0 + 1?\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: B\n\n"
    )
    assert first.shots.count("Answer: B\n\n") == 5
    assert "What is 5 + 1?" not in first.shots


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("B. 11", "B"),
        ("**C**", "C"),
        ("C: because A is wrong", "C"),
        ("The answer is B.", "B"),
        ("Option C is right", "C"),
        ("correct answer: (D)", "D"),
        ("A nerve does it, so B", "B"),
        ("A or B", None),
        ("Answer the question", None),
        ("It's D's turn", None),
        ("none of them", None),
        ("", None),
    ],
)
def test_a_letter_is_read_where_it_is_clear(text: str, letter: str | None) -> None:
    assert letter_in(text) == letter


def test_answers_are_judged() -> None:
    problem = TASK.problems(MMLU)[0]
    for answer, score, strict in (("B", 1, 1), ("11", 1, 1), ("B. 11", 1, 1), ("It must be B then", 1, 0), ("C", 0, 0)):
        judged = judge(answer, problem)
        assert (judged.score, judged.strict) == (score, strict), answer


@given(st.text(alphabet="ABCDabcd answeroptionchoice().:*'\n", max_size=50))
def test_anything_can_be_read(text: str) -> None:
    assert letter_in(text) in {"A", "B", "C", "D", None}


@given(st.sampled_from("ABCD"), st.sampled_from(["{}", "({})", "{}.", "The answer is {}.", "**{}**", "Answer: {}"]))
def test_a_letter_survives_its_dress(letter: str, dress: str) -> None:
    assert letter_in(dress.format(letter)) == letter
