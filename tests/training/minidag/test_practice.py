"""What is practised before the task, learned from where it can be known and nowhere else."""

import random
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from seriatim.errors import UsageError
from seriatim.training.data.batches import IGNORED, Batch
from seriatim.training.minidag.config import MiniDagSettings, read_config
from seriatim.training.minidag.data import ArmData
from seriatim.training.minidag.practice import drills, in_place, practice, repeats
from seriatim.training.minidag.task import result
from seriatim.training.minidag.vocabulary import REFLECTION, TOKENS, tokenizer

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


def put_right(steps: list[tuple[str, str | None]], said: str) -> set[bool]:
    """That wrong results, and these alone, have a reflection with the right step; which of both there are."""
    for line, right in steps:
        sides = [each[-1] for each in re.split("[-+*]", line[2:-3])]
        value = result(sides[0], re.findall("[-+*]", line)[0], sides[1], 19)
        assert (line[-1] == value) == (right is None)
        assert right is None or right == line[:-1] + value
    names = [line[0] for line, _ in steps]
    assert all(ord(after) - ord(before) in (1, -25) for before, after in pairwise(names))
    assert said.count("<reflection>") >= sum(right is not None for _, right in steps)
    return {right is None for _, right in steps}


def steps_behind_the_plan(row: list[int], labels: list[int]) -> tuple[list[tuple[str, str | None]], str]:
    """The steps, each with what its reflection holds, and what of them is learned."""
    begun = row.index(TOKENS.index("</plan>")) + 2
    head = SYMBOLS.decode(row[:begun])
    assert re.fullmatch(r"<\|user\|>\n(.+\n)+\?[a-z]\n<\|assistant\|>\n<thinking>\n<plan>\n(.+\n)+</plan>\n", head)
    assert set(labels[: begun - 1]) == {IGNORED}
    return parts(SYMBOLS.decode(row[begun:])), learned(row[begun:], labels[begun:])


@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_result_is_put_right_by_a_reflection_behind_a_problems_plan(seed: int) -> None:
    settings = MiniDagSettings(modulus=19, practice_mistakes=0.5, batch_tokens=1024)
    ids, labels = in_place(random.Random(seed), settings, SYMBOLS)
    assert 512 < ids.size <= 1024
    seen = set()
    for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
        seen |= put_right(*steps_behind_the_plan(row, wanted))
    assert seen == {True, False}


def test_a_wrong_result_is_put_right_in_drills_that_stand_alone() -> None:
    ids, labels = drills(random.Random(1), 1024, 19, SYMBOLS, 0.5)
    seen = set()
    for row, wanted in zip(ids.tolist(), labels.tolist(), strict=True):
        seen |= put_right(parts(SYMBOLS.decode(row)), learned(row, wanted))
    assert seen == {True, False}


def opens_reflections(batch: Batch) -> bool:
    return bool((batch.labels_BT == REFLECTION).any())


def test_mistakes_come_in_the_second_half_of_practice() -> None:
    plain, mistakes = (
        [practice(step, MiniDagSettings(practice_steps=16, practice_mistakes=share), 0, SYMBOLS) for step in range(16)]
        for share in (0.0, 0.5)
    )
    for step in (*range(8), 8, 10, 12, 14):
        assert (plain[step].ids_BT == mistakes[step].ids_BT).all()
    assert [opens_reflections(batch) for batch in mistakes] == [False] * 8 + [False, True] * 4
    assert not any(map(opens_reflections, plain))


def test_what_was_practised_is_rehearsed_beside_the_task() -> None:
    once = MiniDagSettings(practice_steps=4, practice_mistakes=0.5, batch_tokens=1024)
    rehearsing = MiniDagSettings(practice_steps=4, practice_mistakes=0.5, batch_tokens=1024, rehearsal=3)
    alone, beside = (ArmData(each, 0, Path(), SYMBOLS) for each in (once, rehearsing))
    given = [beside.batch(step) for step in range(4, 16)]
    assert [opens_reflections(batch) for batch in given] == [False, False, True] * 4
    task = [batch for batch in given if not opens_reflections(batch)]
    assert all((batch.ids_BT == alone.batch(step).ids_BT).all() for step, batch in enumerate(task, 4))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('mistakes = ["nonsuch"]', "must be of out_of_order, other_definition, other_value, arithmetic"),
        ("mistakes = []", "must be of out_of_order"),
        ("rehearsal = 1", "leaves no step for the task: it must be 0 or at least 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "minidag.toml"
    text = (Path(__file__).parents[3] / "configs" / "minidag.toml").read_text()
    key = setting.partition(" ")[0]
    file.write_text("\n".join(setting if line.startswith(key) else line for line in text.splitlines()))
    with pytest.raises(UsageError, match=said):
        read_config(file)
