from itertools import pairwise
from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.training.config import ScheduleSettings
from seriatim.training.schedule import learning_rate


def test_the_recipe_in_small() -> None:
    schedule = ScheduleSettings(steps=100, warmup_steps=10, anneal_steps=20)
    rates = [learning_rate(schedule, step, 4e-4) for step in range(100)]
    assert rates[0] == pytest.approx(4e-5)
    assert rates[9] == rates[10] == pytest.approx(4e-4)
    assert rates[45] == pytest.approx(4e-5 + 3.6e-4 * (1 + cos(pi / 2)) / 2)
    assert rates[80] == pytest.approx(4e-5 * 20 / 21)
    assert rates[99] == pytest.approx(4e-5 / 21)
    assert all(a >= b for a, b in pairwise(rates[10:]))


@given(st.integers(1, 50), st.integers(0, 20), st.integers(0, 20))
def test_every_step_has_a_rate(steps: int, warmup: int, anneal: int) -> None:
    schedule = ScheduleSettings(steps=steps, warmup_steps=warmup, anneal_steps=anneal)
    assert all(0 < learning_rate(schedule, step, 1.0) <= 1 for step in range(steps))
