"""What is practised before the task, learned from where it can be known and nowhere else."""

import random
import re
from itertools import pairwise

import numpy as np
import pytest

from seriatim.training.data.batches import IGNORED
from seriatim.training.minidag.config import MiniDagSettings
from seriatim.training.minidag.practice import drills, lines, practice, repeats
from seriatim.training.minidag.task import result
from seriatim.training.minidag.vocabulary import REFLECTION, tokenizer

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


def learned(row: list[int], labels: list[int]) -> str:
    """What is learned, symbol by symbol; "·" stands for what is only read."""
    assert all(label in (IGNORED, id) for label, id in zip(labels, row[1:], strict=False))
    return "".join("·" if label == IGNORED else SYMBOLS.decode([label]) for label in labels)


def parts(text: str) -> list[tuple[str, str | None]]:
    """The lines of a text, each with what its reflection holds, but for the last, which may be cut off."""
    if text.rfind("<reflection>") > text.rfind("</reflection>"):
        text = text[: text.rfind("<reflection>")]
    found = re.findall(r"([^\n<>]+)\n(?:<reflection>\n([^\n<>]+)\n</reflection>\n?)?", text)
    return [(line, right or None) for line, right in found][:-1]


def test_a_wrong_result_is_put_right_by_a_reflection() -> None:
    ids, labels = drills(random.Random(1), 1024, 19, SYMBOLS, 0.5)
    seen = set()
    for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
        steps = parts(SYMBOLS.decode(row))
        for line, right in steps:
            sides = [each[-1] for each in re.split("[-+*]", line[2:-3])]
            value = result(sides[0], re.findall("[-+*]", line)[0], sides[1], 19)
            assert (line[-1] == value) == (right is None)
            assert right is None or right == line[:-1] + value
            seen.add(right is None)
        names = [line[0] for line, _ in steps]
        assert all(ord(after) - ord(before) in (1, -25) for before, after in pairwise(names))
        said = learned(row, wanted)
        assert said.count("<reflection>") >= sum(right is not None for _, right in steps)
        for line, right in steps:
            if right is not None:
                at = SYMBOLS.decode(row).index(f"{line}\n<reflection>")
                assert said[at + len(line) - 2 : at + len(line) - 1] in ("·", "")
    assert seen == {True, False}


@pytest.mark.parametrize("seed", range(10))
def test_a_mistake_in_a_line_that_comes_again_is_put_right(seed: int) -> None:
    ids, labels = lines(random.Random(seed), 1024, 0.3)
    assert 512 < ids.size <= 1024
    for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
        said = parts(SYMBOLS.decode(row))
        once = list(dict.fromkeys(line if right is None else right for line, right in said))
        meant = [line if right is None else right for line, right in said]
        assert meant == [once[place % len(once)] for place in range(len(meant))]
        for line, right in said:
            assert right is None or sum(a != b for a, b in zip(line, right, strict=True)) == 1
        learned(row, wanted)
        first = sum(len(line) + 1 for line in once)
        assert set(wanted[: first - 1]) == {IGNORED}
        opened = [place for place, id in enumerate(row) if id == REFLECTION and place > first]
        assert all(wanted[place - 1] == REFLECTION for place in opened)


def test_mistakes_come_in_addition_to_the_rest_of_practice() -> None:
    plain, mistaken = (
        [practice(step, MiniDagSettings(practice_mistakes=share), 0, SYMBOLS) for step in range(8)]
        for share in (0.0, 0.2)
    )
    for step in (0, 2, 4, 6):
        assert (plain[step].ids_BT == mistaken[step].ids_BT).all()
    for step in (1, 3, 5, 7):
        assert (mistaken[step].labels_BT == REFLECTION).any()
    assert not any((batch.labels_BT == REFLECTION).any() for batch in (plain[3], plain[7]))
