from seriatim.training.reflection.decontamination import decontaminated
from seriatim.training.reflection.segments import Example
from seriatim.training.reflection.template import Segment

BENCHMARK = ["Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins."]


def example(question: str) -> Example:
    return Example(question, (Segment("9", "output"),))


def test_questions_that_share_words_in_a_row_are_taken_out_and_counted() -> None:
    same = example(BENCHMARK[0].upper())
    reworded = example("A farmer's ducks lay 16 eggs per day; she eats three for tea.")
    other = example("Janet sells seven eggs a day at the market and keeps the rest for herself.")
    part, short = example("eats three for breakfast"), example("What is 2 + 2?")
    found = decontaminated([same, reworded, other, part, short], BENCHMARK)
    assert found.kept == (other, short)
    assert found.hits == {8: 3, 13: 1}
    assert found.short == 1


def test_thirteen_words_let_more_pass() -> None:
    reworded = example("A farmer's ducks lay 16 eggs per day; she eats three for tea and sells all the others.")
    assert decontaminated([reworded], BENCHMARK, size=13).kept == (reworded,)
    assert not decontaminated([reworded], BENCHMARK).kept
