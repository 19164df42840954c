"""The study's comparisons: paired by seed and problem, and no surer than so few seeds allow."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from minidag import comparisons

ALL, HALF, NONE = "1" * 40, "10" * 20, "0" * 40


def solved(beyond: str) -> dict[str, str]:
    return {"in_allowed": ALL, "in_banned": ALL, "beyond_allowed": beyond, "beyond_banned": beyond}


def test_one_seed_has_mcnemars_p_and_no_interval_over_seeds() -> None:
    made = comparisons({"A-0": solved(HALF), "A-1": solved(NONE), "B-0": solved(ALL)})
    found = next(each for each in made if each["set"] == "beyond_allowed")
    assert (found["arm"], found["with"], found["seeds"]) == ("B", "A", ["0"])
    assert (found["right"], found["others_right"], found["difference"]) == (100, 50, 50)
    assert found["p"] == found["mcnemar"][0] == pytest.approx(2 / 2**20)
    assert found["t_low"] is None


def test_two_seeds_have_no_p_and_an_interval_as_wide_as_they_differ() -> None:
    made = comparisons({"A-0": solved(HALF), "A-1": solved(NONE), "B'-0": solved(ALL), "B'-1": solved(HALF)})
    found = next(each for each in made if each["set"] == "beyond_banned")
    assert found["by_seed"] == [50, 50]
    assert (found["p"], found["t_low"], found["t_high"]) == (None, 50, 50)
    made = comparisons({"A-0": solved(HALF), "A-1": solved(NONE), "B'-0": solved(ALL), "B'-1": solved(NONE)})
    found = next(each for each in made if each["set"] == "beyond_banned")
    assert found["t_low"] < -200


def test_p_is_adjusted_over_the_arms_of_a_set() -> None:
    made = comparisons({"A-0": solved(HALF), "B-0": solved(ALL), "D-0": solved(NONE), "E-0": solved(HALF)})
    beyond = [each for each in made if each["set"] == "beyond_allowed"]
    assert {(each["arm"], each["with"]) for each in beyond} == {
        ("B", "A"), ("B", "E"), ("D", "A"), ("D", "E"), ("E", "A"),
    }  # fmt: skip
    assert all(each["p_holm"] >= each["p"] for each in beyond)
    assert next(each for each in beyond if each["arm"] == "E")["p_holm"] == 1
