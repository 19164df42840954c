from pathlib import Path
from typing import Any

import pytest

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.predictions import score_predictions
from seriatim.evaluation.tasks import find_task
from tests.evaluation.data import SHARED, write_rows

# The figures that ∞Bench published with these predictions (OpenBMB/InfiniteBench).
PUBLISHED = [
    ("gpt4", 22.4449, 67.2489),
    ("yarn-mistral", 9.5517, 27.9476),
    ("chatglm3", 3.6214, 10.4803),
]


@pytest.mark.skipif(not SHARED.exists(), reason="needs the published predictions")
@pytest.mark.parametrize(("model", "f1", "accuracy"), PUBLISHED)
def test_published_predictions_score_as_published(model: str, f1: float, accuracy: float) -> None:
    folder = SHARED / "infinitebench"
    qa = score_predictions(find_task("en_qa"), folder / f"{model}_longbook_qa_eng.jsonl")
    choice = score_predictions(find_task("en_mc"), folder / f"{model}_longbook_choice_eng.jsonl")
    assert (round(qa.score, 4), round(choice.score, 4)) == (f1, accuracy)
    assert (qa.n, choice.n) == (351, 229)


def test_both_forms_of_rows_are_scored(tmp_path: Path) -> None:
    rows = [
        {"prediction": "the white whale", "ground_truth": ["whale", "a white whale"]},
        {"pred": None, "label": "whale"},
        {"prediction": "a whale of a ship", "references": ["whale"]},
    ]
    scored = score_predictions(find_task("en_qa"), write_rows(tmp_path / "p.jsonl", rows))
    assert scored.score == pytest.approx(100 * (1 + 0 + 0.5) / 3)
    assert scored.strict_score == pytest.approx(100 / 3)
    assert set(scored.to_dict()) == {"task", "metric", "score", "strict_score", "n"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"answer": "x"}, "line 1: neither 'prediction' nor 'pred' is in the row"),
        ({"prediction": "x"}, "line 1: neither 'ground_truth'"),
        ({"prediction": "x", "label": []}, "line 1: label is empty"),
        ({"prediction": "x", "label": " "}, "line 1: label is empty"),
        ({"prediction": "x", "label": 3}, "line 1: label must be text, not 3"),
        ({"prediction": "x", "label": None}, "line 1: label must be text, not None"),
        ({"prediction": "x", "label": [["x"]]}, "line 1: label must be text, not ['x']"),
        ({"prediction": ["A"], "label": "A"}, "line 1: a prediction must be text, not ['A']"),
        ({"prediction": "A", "label": ["the ship"]}, "line 1: label must close with the letter of the right option"),
    ],
)
def test_a_row_without_what_it_needs_is_named(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    with pytest.raises(SeriatimError) as caught:
        score_predictions(find_task("en_mc"), write_rows(tmp_path / "p.jsonl", [row]))
    assert told in str(caught.value)


def test_a_file_without_predictions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no predictions"):
        score_predictions(find_task("en_qa"), write_rows(tmp_path / "p.jsonl", []))
    with pytest.raises(UsageError, match="No such file"):
        score_predictions(find_task("en_qa"), tmp_path / "q.jsonl")


def test_a_question_that_is_answered_twice_is_told(tmp_path: Path) -> None:
    row = {"id": 7, "prediction": "a", "ground_truth": ["a"]}
    file = write_rows(tmp_path / "predictions.jsonl", [row, row])
    with pytest.raises(SeriatimError, match="line 2: the question with id 7 is answered twice"):
        score_predictions(find_task("en_qa"), file)


def test_answers_that_name_no_letter_are_no_answers_to_choices(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "p.jsonl", [{"prediction": "Bello", "ground_truth": ["Bello"]}])
    with pytest.raises(SeriatimError, match="line 1: ground_truth must begin with the letters of the right options"):
        score_predictions(find_task("quality"), file)
    for right in ("B", "(B) the mast", "B. the mast"):
        rows = [{"prediction": "B", "ground_truth": right}]
        assert score_predictions(find_task("quality"), write_rows(file, rows)).score == 100
