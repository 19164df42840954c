"""What is practised before the task, learned from where it can be known and nowhere else."""

import random
import re

import numpy as np
import pytest

from seriatim.training.data.batches import IGNORED
from seriatim.training.minidag.config import MiniDagSettings
from seriatim.training.minidag.practice import MARK, drills, marked, practice, repeats
from seriatim.training.minidag.task import result
from seriatim.training.minidag.vocabulary import tokenizer

SYMBOLS = tokenizer()


def test_repeats_are_learned_from_where_it_repeats_forwards_or_backwards() -> None:
    distances, directions = set(), set()
    for seed in range(20):
        ids, labels = repeats(np.random.default_rng(seed), 1024)
        assert 0 < ids.size <= 1024
        for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
            learned = [place for place, label in enumerate(wanted) if label != IGNORED]
            ways = {1, -1}
            for place in learned[1:]:  # that a sequence begins anew is learned too, and cannot be known at first
                before = max(n for n in range(place) if row[n] == row[place])
                ways &= {way for way in (1, -1) if row[before + way] == wanted[place]}
                distances.add(place - before)
            assert ways
            directions |= ways
    assert min(distances) < 20
    assert max(distances) > 250
    assert directions == {1, -1}


def test_drills_are_right_steps_learned_from_at_their_results() -> None:
    ids, labels = drills(random.Random(0), 512, 10, SYMBOLS)
    assert ids.shape == (4, 128)
    for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
        lines = SYMBOLS.decode(row).split("\n")[:-1]
        learned = [(place, label) for place, label in enumerate(wanted) if label != IGNORED]
        assert len(learned) in (len(lines), len(lines) + 1)
        for line, (place, label) in zip(lines, learned, strict=False):
            sides = [each[-1] for each in re.split("[-+*]", line[2:-3])]
            assert line[-1] == SYMBOLS.decode([label]) == result(sides[0], re.findall("[-+*]", line)[0], sides[1], 10)
            assert row[place + 1] == label


def test_a_wrong_result_is_marked_and_not_learned_from() -> None:
    ids, labels = drills(random.Random(1), 1024, 19, SYMBOLS, 0.5)
    seen = set()
    for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
        text, place = SYMBOLS.decode(row), 0
        for line in text.split("\n")[:-1]:
            is_marked = line.endswith(MARK)
            step = line.rstrip(MARK)
            sides = [each[-1] for each in re.split("[-+*]", step[2:-3])]
            right = step[-1] == result(sides[0], re.findall("[-+*]", step)[0], sides[1], 19)
            assert right != is_marked
            learned = [place for place, label in enumerate(wanted[place : place + len(line)]) if label != IGNORED]
            value = len(step) - 1  # the label of a place is the symbol behind it
            assert learned == ([value] if is_marked else [value - 1, value])
            place += len(line) + 1
            seen.add(is_marked)
    assert seen == {True, False}


@pytest.mark.parametrize("seed", range(10))
def test_a_mistake_in_what_comes_again_is_marked_and_then_put_right(seed: int) -> None:
    ids, labels = marked(random.Random(seed), 1024, SYMBOLS, 0.3)
    mark = SYMBOLS.encode(MARK)[0]
    assert 512 < ids.size <= 1024
    for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
        mistakes = {place for place, id in enumerate(row) if row[place + 1 : place + 2] == [mark]}
        without = [id for place, id in enumerate(row[:-1]) if id != mark and place not in mistakes]
        length = without.index(without[0], 1)
        assert without[length:] == without[: len(without) - length]
        for place in range(length, len(row) - 2):  # behind the last symbol a mark may be cut off
            assert wanted[place] == (IGNORED if place + 1 in mistakes else row[place + 1])
        assert set(wanted[: length - 1]) == {IGNORED}


def test_mistakes_come_in_addition_to_the_rest_of_practice() -> None:
    mark = SYMBOLS.encode(MARK)[0]
    plain, mistaken = (
        [practice(step, MiniDagSettings(practice_mistakes=share), 0, SYMBOLS) for step in range(8)]
        for share in (0.0, 0.2)
    )
    for step in (0, 2, 4, 6):
        assert (plain[step].ids_BT == mistaken[step].ids_BT).all()
    for step in (1, 3, 5, 7):
        assert (mistaken[step].labels_BT == mark).any()
    assert not (plain[3].ids_BT == mark).any()
