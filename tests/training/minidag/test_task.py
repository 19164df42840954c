"""The generator and the verifier agree, and neither lets a mistake pass."""

import random
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.training.minidag.arms import ARMS, MISTAKES, example, mistake
from seriatim.training.minidag.task import (
    VALUES,
    Definition,
    Problem,
    check,
    check_step,
    generate,
    is_held_out,
    problems,
)
from seriatim.training.minidag.vocabulary import TOKENS, tokenizer
from seriatim.training.reflection.segments import encode
from seriatim.training.reflection.template import response

PROBLEM = Problem(
    (
        Definition("f", "b", "+", "c"), Definition("b", "3", "+", "4"), Definition("c", "9", "-", "b"),
        Definition("d", "b", "+", "1"),
    ),
    "f",
)  # fmt: skip
SEEDS = st.integers(0, 1 << 40)


def problem_of(seed: int, operations: int, modulus: int = 10) -> Problem:
    return generate(random.Random(seed), operations, distractors=3, modulus=modulus)


def written(*lines: str, output: str = "9") -> str:
    steps = "".join(f"{line}\n" for line in lines)
    return f"<thinking>\n<plan>\nf=b+c\nc=9-b\nb=3+4\n</plan>\n{steps}</thinking>\n<output>\n{output}\n</output>"


def test_a_problem_and_its_solution() -> None:
    assert PROBLEM.prompt == "f=b+c\nb=3+4\nc=9-b\nd=b+1\n?f"
    assert (PROBLEM.order, PROBLEM.plan, PROBLEM.answer) == (("b", "c", "f"), "f=b+c\nc=9-b\nb=3+4", "9")
    assert PROBLEM.steps == ["b=3+4=b7", "c=9-b7=c2", "f=b7+c2=f9"]
    assert check(PROBLEM, written(*PROBLEM.steps)).sound


def test_values_are_taken_by_the_modulus() -> None:
    wrapped = Problem((Definition("a", "3", "-", "M"),), "a", 23)
    assert wrapped.answer == VALUES[(3 - 22) % 23]


@given(SEEDS, st.integers(1, 12), st.sampled_from([10, 23]))
def test_what_is_generated_needs_as_many_operations_and_is_solved_by_its_steps(
    seed: int, operations: int, modulus: int
) -> None:
    problem = problem_of(seed, operations, modulus)
    assert len(problem.order) == operations
    assert len(problem.definitions) == len(problem.of) == operations + 3
    known: dict[str, str] = {}
    for line in problem.steps:
        assert check_step(problem, line, known)
        known[line[0]] = line[-1]
    assert known[problem.query] == problem.answer


@given(SEEDS, st.integers(1, 12))
def test_a_mistake_is_never_a_right_step(seed: int, operations: int) -> None:
    problem, rng = problem_of(seed, operations), random.Random(seed)
    place = rng.randrange(operations)
    made = mistake(problem, problem.order[:place], problem.order[place], rng)
    assert made is not None
    kind, wrong = made
    assert kind in ("out_of_order", "other_definition", "other_value", "arithmetic")
    known = {name: problem.values[name] for name in problem.order[:place]}
    assert not check_step(problem, wrong, known)


@given(SEEDS, st.integers(1, 12), st.sets(st.sampled_from(MISTAKES), min_size=1))
def test_mistakes_are_of_the_kinds_that_are_asked_for(seed: int, operations: int, kinds: set[str]) -> None:
    problem, rng = problem_of(seed, operations), random.Random(seed)
    for place, name in enumerate(problem.order):
        made = mistake(problem, problem.order[:place], name, rng, sorted(kinds))
        assert made is None or made[0] in kinds
        assert made is not None or "arithmetic" not in kinds


@given(SEEDS, st.integers(1, 12), st.sampled_from([arm for arm in ARMS if arm != "F"]))
def test_every_arm_writes_what_the_verifier_accepts(seed: int, operations: int, arm: str) -> None:
    problem = problem_of(seed, operations)
    made = example(problem, arm, random.Random(seed), rate=1.0)  # type: ignore[arg-type]
    found = check(problem, response(made.segments))
    assert found.sound
    reflections = sum(each.role == "reflection" for each in made.segments)
    assert found.retries == reflections
    errors = [each for each in made.segments if each.role == "error"]
    assert all(each.train is (arm != "C") for each in errors)
    assert found.needless == (reflections if arm == "E" else 0)
    if arm in ("B", "B'", "C"):
        assert found.repaired == operations
    if arm == "G":
        assert found.repaired == 1


@given(SEEDS, st.integers(1, 12), st.data())
def test_any_character_changed_in_a_step_is_found(seed: int, operations: int, data: st.DataObject) -> None:
    problem = problem_of(seed, operations)
    place = data.draw(st.integers(0, operations - 1))
    line = problem.steps[place]
    at = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.sampled_from([each for each in "abc059+-=" if each != line[at]]))
    known = {name: problem.values[name] for name in problem.order[:place]}
    assert not check_step(problem, line[:at] + other + line[at + 1 :], known)


@pytest.mark.parametrize(
    ("text", "correct", "first_wrong"),
    [
        (written("b=3+4=b7", "c=9-b7=c2", "f=b7+c2=f9"), True, None),
        (written("b=3+4=b7", "c=9-b7=c3", "f=b7+c3=f0", output="0"), False, 1),
        (written("b=3+4=b7", "c=9-b7=c3", "f=b7+c2=f9"), True, 1),  # right by luck, and not sound
        (written("c=9-b7=c2", "b=3+4=b7", "f=b7+c2=f9"), True, 0),  # b was not known yet
        (written("b=3+4=b7", "c=9-b7=c2", "f=b7+c2=f9").replace("<output>\n9\n</output>", "9"), False, None),
        (written("b=3+4=b7", "c=9-b7=c3", "<reflection>\nc=9-b7=c2\n</reflection>", "f=b7+c2=f9"), True, None),
        (written("b=3+4=b7", "c=9-b7=c3", "<reflection>\nc=9-b7=c4\n</reflection>", "f=b7+c2=f9"), True, 1),
        ("", False, None),
    ],
)  # fmt: skip
def test_responses(text: str, correct: bool, first_wrong: int | None) -> None:
    found = check(PROBLEM, text)
    assert (found.correct, found.first_wrong) == (correct, first_wrong)


def test_training_and_test_share_no_structure() -> None:
    train = list(islice(problems(random.Random(0), range(1, 9), "train"), 300))
    test = list(islice(problems(random.Random(1), (6, 7, 8), "test"), 100))
    assert not any(is_held_out(each) for each in train)
    assert all(is_held_out(each) for each in test)
    assert len({each.structure for each in test}) == 100
    assert {len(each.order) for each in test} == {6, 7, 8}


def test_a_structure_has_no_names_and_values() -> None:
    renamed = Problem(
        (Definition("z", "5", "+", "5"), Definition("y", "z", "+", "x"), Definition("x", "1", "-", "z")), "y"
    )
    assert renamed.structure == PROBLEM.structure
    assert Problem(PROBLEM.definitions, "c").structure != PROBLEM.structure


@given(SEEDS, st.integers(1, 12), st.sampled_from([10, 23]))
def test_each_symbol_is_a_token(seed: int, operations: int, modulus: int) -> None:
    problem, symbols = problem_of(seed, operations, modulus), tokenizer()
    made = example(problem, "B'", random.Random(seed), rate=1.0)
    encoded = encode(made, symbols)
    tags = sum(encoded.ids.count(TOKENS.index(each)) for each in TOKENS if each.startswith("<") and len(each) > 2)
    text = symbols.decode(encoded.ids)
    assert text.endswith(response(made.segments))
    assert len(encoded.ids) == 2 + tags - 2 + len("".join(part.rpartition(">")[2] for part in text.split("<")))
