from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.datasets import read_dataset
from seriatim.evaluation.plots import draw
from seriatim.evaluation.records import Run
from seriatim.evaluation.runs import run
from tests.evaluation.data import LEVAL, Echo, write_rows
from tests.evaluation.test_runs import PLAN


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    dataset = read_dataset(PLAN.task, write_rows(tmp_path / "natural_question.jsonl", LEVAL))
    return [
        run(replace(PLAN, arm=arm), dataset, Echo(), "echo", tmp_path / arm)
        for arm in ("document", "relevance", "closed")
    ]


def test_equal_scores_are_drawn(runs: list[Run], tmp_path: Path) -> None:
    rows = tuple(row | {"score": 0.4, "coverage": 1 / 3} for row in runs[0].rows)
    assert draw([replace(runs[0], rows=rows)], tmp_path / "plots")


def test_what_was_asked_in_part_says_so(runs: list[Run], tmp_path: Path) -> None:
    part = replace(runs[0], rows=runs[0].rows[:-2])
    [picture, *_] = draw([part], tmp_path / "plots")
    assert "document (document, n = 5, 3)" in "".join(ElementTree.parse(picture).getroot().itertext())


def test_stitched_documents_have_a_plot_of_their_own(runs: list[Run], tmp_path: Path) -> None:
    stitched = replace(runs[0], settings=runs[0].settings | {"stitch_words": 400})
    with pytest.raises(UsageError, match="draw them apart"):
        draw([stitched, runs[1]], tmp_path / "plots")


def test_each_plot_is_a_vector_and_a_picture(runs: list[Run], tmp_path: Path) -> None:
    files = draw(runs, tmp_path / "plots")
    assert [file.name for file in files] == [
        f"natural_question-{name}.{kind}"
        for name in ("score", "coverage", "seconds", "prompt_tokens")
        for kind in ("svg", "png")
    ]
    text = "".join(ElementTree.parse(files[0]).getroot().itertext())
    for word in (
        "document (document)",
        "relevance (relevance)",
        "closed (closed)",
        "tokens of context",
        "F1, %",
        "256",
    ):
        assert word in text
    assert Image.open(files[1]).width > 900


def test_the_same_runs_give_the_same_file(runs: list[Run], tmp_path: Path) -> None:
    first, second = draw(runs, tmp_path / "a")[0], draw(runs, tmp_path / "b")[0]
    assert first.read_bytes() == second.read_bytes()


def test_what_cannot_be_drawn_is_said(runs: list[Run], tmp_path: Path) -> None:
    other = replace(runs[0], settings=runs[0].settings | {"task": "quality"})
    with pytest.raises(UsageError, match="one plot shows one task"):
        draw([runs[0], other], tmp_path)
    bare = {"question_id": "q", "document": "d", "tokens": 512, "context_tokens": 500, "coverage": None}
    with pytest.raises(UsageError, match="neither scores nor coverage"):
        draw([replace(runs[0], rows=(bare,))], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SeriatimError, match="cannot be written"):
        draw(runs, tmp_path / "file")
