"""Traces, mining, injection: whatever they make, the verifier accepts once the mistake is taken out."""

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from seriatim.sampling import Sampling
from seriatim.training.reflection.attempts import Attempt, Task, attempt, segments
from seriatim.training.reflection.injection import injected, miscalculate
from seriatim.training.reflection.mining import mine, mined
from seriatim.training.reflection.segments import Example, fault
from seriatim.training.reflection.template import Segment, response
from seriatim.training.reflection.traces import traces
from seriatim.training.reflection.verifiers.calculator import calculator
from tests.reflection.scripted import Scripted

TASK = Task("What is 2 + 2, three times over?", calculator("12"), "calculator")
RIGHT = Attempt("add, then multiply", ("<<2+2=4>>4.", "<<4*3=12>>12."), "12")
WRONG = Attempt("add, then multiply", ("<<2+2=4>>4.", "<<4*3=15>>15."), "15")
OTHER = Attempt("another plan", ("<<2*3=5>>5.", "<<5*2=10>>10."), "10")


def written(*attempts: Attempt) -> list[str]:
    """What a model writes for them, after the opening that it is given."""
    return [response(segments(each)).removeprefix("<thinking>\n") for each in attempts]


def repaired(example: Example) -> Attempt:
    """The attempt that an example comes to: the step that its reflection ends in stands in the wrong one's place."""
    steps = [
        each.text.rpartition(". ")[2] if each.role == "reflection" else each.text
        for each in example.segments
        if each.role in ("step", "reflection")
    ]
    return Attempt("", tuple(steps), example.segments[-1].text)


def none(_begun: str) -> Iterable[Attempt | None]:
    return ()


def make(tried: list[Attempt | None], confirm: float = 0.0) -> tuple[list[Example], Counter[str]]:
    counts: Counter[str] = Counter()
    found = mined(TASK, tried, none, source="m", confirm=confirm, rng=random.Random(0), counts=counts)
    return list(found), counts


def test_an_attempt_is_read_back() -> None:
    assert attempt(response(segments(RIGHT))) == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "12",
        "<thinking>\n<<2+2=4>>\n</thinking>\nThe answer is 12.",
        "<thinking>\nx\n</thinking>\n<output>\n12",
        "<thinking>\n<output>12</output>",
    ],
)
def test_without_an_output_there_is_no_attempt(text: str) -> None:
    """The 2024 release's scorer took the whole text for the answer where `<output>` was missing."""
    assert attempt(text) is None


def test_traces_are_kept_only_if_the_verifier_accepts() -> None:
    counts: Counter[str] = Counter()
    teacher = Scripted(*written(WRONG, RIGHT), "no tags at all", *written(WRONG))
    made = list(traces([TASK, TASK], teacher, samples=2, sampling=Sampling(0.7), max_tokens=99, counts=counts))
    assert [each.segments for each in made] == [segments(RIGHT)]
    assert counts == {"accepted": 1, "refused": 2, "not of the form": 1}


def test_a_mistake_is_put_right_by_a_sample_that_shares_what_is_before_it() -> None:
    (example,), counts = make([WRONG, RIGHT, WRONG, None])
    assert example.segments == (
        Segment("add, then multiply", "plan"),
        Segment("<<2+2=4>>4.", "step"),
        Segment("<<4*3=15>>15.", "error", train=False),
        Segment("4*3 is 12, not 15. <<4*3=12>>12.", "reflection"),
        Segment("12", "output"),
    )
    assert counts == {"corrected": 1, "the same mistake again": 1, "not of the form": 1}


def test_without_such_a_sample_the_model_goes_on_from_there() -> None:
    counts: Counter[str] = Counter()
    model = Scripted(
        *written(OTHER),
        "nothing at all",
        "still nothing",
        "<<2*3=6>>6.\n<<6*2=12>>12.\n</thinking>\n<output>\n12\n</output>",
    )
    made = list(mine([TASK], model, samples=2, sampling=Sampling(0.7), max_tokens=99, confirm=0, counts=counts))
    assert len(made) == 1
    assert model.prefixes[2:] == ["<thinking>\n<plan>\nanother plan\n</plan>\n"] * 2
    assert made[0].segments[1] == Segment("<<2*3=5>>5.", "error", train=False)
    assert TASK.verify(repaired(made[0])).accepted


def test_what_has_no_correction_is_counted_and_left_out() -> None:
    unblamed = Attempt("", ("<<2+2=4>>4.",), "4")
    assert make([OTHER, unblamed]) == (
        [],
        {"no right continuation": 1, "wrong, no step to blame": 1, "not of the form": 0},
    )


def test_controls_confirm_a_right_step() -> None:
    (example,), counts = make([RIGHT, RIGHT], confirm=1.0)
    assert counts["confirmed"] == 1
    assert [each.role for each in example.segments].count("reflection") == 1
    assert not any(each.role == "error" for each in example.segments)
    assert fault(example) is None


@pytest.mark.parametrize("seed", range(20))
def test_an_injected_error_is_one_and_what_follows_is_right(seed: int) -> None:
    example = injected(TASK, RIGHT, random.Random(seed))
    assert example is not None
    wrong = [each.text for each in example.segments if each.role == "error"]
    assert len(wrong) == 1
    assert not TASK.verify(Attempt("", (*wrong,), "12")).accepted
    assert TASK.verify(repaired(example)).accepted


def test_only_calculations_are_made_wrong() -> None:
    assert miscalculate("no number here", random.Random(0)) is None
    assert injected(TASK, Attempt("", ("plain",), "12"), random.Random(0)) is None
    wrong = miscalculate("It costs $<<4*3=12>>12 in all.", random.Random(1))
    assert wrong is not None
    assert "12" not in wrong
