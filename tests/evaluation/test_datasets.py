import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.datasets import choice_label, read_dataset
from seriatim.evaluation.tasks import TASKS, find_task
from tests.evaluation.data import INFINITEBENCH, LEVAL, SHARED, write_rows
from tests.retrieval.conftest import ORCHARD, VOYAGE

NATURAL, CHOICE = find_task("natural_question"), find_task("en_mc")


def test_a_row_of_leval_is_a_document_with_its_questions(tmp_path: Path) -> None:
    write_rows(tmp_path / "natural_question.jsonl", LEVAL)
    dataset = read_dataset(NATURAL, tmp_path)
    assert [question.references for question in dataset.questions][:2] == [("eleven crowns",), ("Bishop",)]
    assert len(dataset.questions) == 5  # what only a judge can score is left out
    assert {dataset.documents[question.document] for question in dataset.questions} == {VOYAGE, ORCHARD}


def test_rows_of_infinitebench_share_their_book(tmp_path: Path) -> None:
    dataset = read_dataset(CHOICE, write_rows(tmp_path / "mine.jsonl", INFINITEBENCH))
    assert list(dataset.documents.values()) == [VOYAGE]
    assert [(question.id, question.references) for question in dataset.questions] == [
        ("en_mc/7", ("Bishop", "B")),
        ("en_mc/8", ("the foremast", "A")),
    ]
    prompt = CHOICE.messages(dataset.questions[0], "The book {question}.")[-1].content
    assert prompt.startswith(
        "Read the book and answer the question.\n\nThe book {question}.\n\nQuestion: Who swam back?"
    )
    assert prompt.endswith("Don't say anything else.\nA. Ysolde\nB. Bishop\nC. Ottilie\nD. the mate")


@pytest.mark.parametrize("answer", ["b", ["b"], ["b", "B"]])
def test_the_label_of_a_choice_is_its_text_and_its_letter(answer: str | list[str]) -> None:
    assert choice_label(["a", "b", "c", "d"], answer) == ("b", "B")


def test_a_larger_draw_with_the_same_seed_adds_to_a_smaller_one(tmp_path: Path) -> None:
    dataset = read_dataset(NATURAL, write_rows(tmp_path / "a.jsonl", LEVAL))
    drawn = [{question.id for question in dataset.draw(limit, 3).questions} for limit in range(1, 6)]
    assert all(smaller < larger for smaller, larger in pairwise(drawn))
    assert dataset.draw(None, 3) == dataset.draw(99, 5)
    assert {dataset.draw(2, seed).questions for seed in range(9)} != {dataset.draw(2, 0).questions}


def test_stitched_documents_are_long_and_whole(tmp_path: Path) -> None:
    dataset = read_dataset(NATURAL, write_rows(tmp_path / "a.jsonl", LEVAL))
    joined = dataset.stitch(len(VOYAGE.split()) + 1)
    assert len(joined.documents) == 1
    [text] = joined.documents.values()
    assert VOYAGE in text
    assert ORCHARD in text
    assert {question.over for question in joined.questions} == set(joined.documents)
    assert [question.document for question in joined.questions] == [each.document for each in dataset.questions]
    assert [question.id for question in joined.questions] == [question.id for question in dataset.questions]
    assert all(len(each.split()) >= 200 for each in dataset.stitch(200).documents.values())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: a JSON object was expected"),
        ('{"input": "x"}', "line 1: not a row of L-Eval's form ('instructions' is missing)"),
        (
            json.dumps(LEVAL[0] | {"outputs": ["one"]}),
            "line 1: not a row of L-Eval's form (3 instructions, but 1 outputs)",
        ),
        (json.dumps(LEVAL[0] | {"input": 3}), "input must be text, not 3"),
        (json.dumps(LEVAL[0] | {"instructions": "Who?"}), "instructions must be a list of texts, not 'Who?'"),
        (json.dumps(LEVAL[0] | {"input": "\ud800"}), "surrogates not allowed"),
        (json.dumps({"input": "x", "instructions": [" ?!"], "outputs": ["y"]}), "the question ' ?!' is empty"),
        ("[" * 100_000, "line 1: not JSON"),
    ],
)
def test_a_row_of_another_form_is_named(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(SeriatimError) as caught:
        read_dataset(NATURAL, tmp_path / "a.jsonl")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "row", "told"),
    [
        ("en_qa", {"answer": [3]}, "answer must be text, not 3"),
        ("en_qa", {"answer": 3}, "answer must be a list of texts, not 3"),
        ("en_qa", {"answer": []}, "answer is empty"),
        ("en_mc", {"answer": [3]}, "answer must be text, not 3"),
        ("en_mc", {"answer": ["the mast"]}, "the answer 'the mast' is none of the options"),
        ("en_mc", {"answer": ["the mast", "AB"]}, "the answer 'the mast' is none of the options"),
        ("en_mc", {"options": None}, "options must be a list of texts, not None"),
        ("en_mc", {"options": ["the mast", " ", "c", "d"]}, "an option is empty"),
        ("en_mc", {"options": list("abcde")}, "at most four options were expected, not 5"),
    ],
)
def test_a_wrong_answer_is_named_before_anything_is_asked(
    tmp_path: Path, name: str, row: dict[str, Any], told: str
) -> None:
    file = write_rows(tmp_path / "a.jsonl", [INFINITEBENCH[0] | row])
    with pytest.raises(SeriatimError) as caught:
        read_dataset(find_task(name), file)
    assert f"line 1: not a row of ∞Bench's form ({told})" in str(caught.value)


def test_questions_need_ids_of_their_own(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", [INFINITEBENCH[0], INFINITEBENCH[1] | {"id": 7}])
    with pytest.raises(SeriatimError, match="several questions with the id en_qa/7"):
        read_dataset(find_task("en_qa"), file)


def test_data_that_is_not_there_or_holds_no_question(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"natural_question\.jsonl: No such file"):
        read_dataset(NATURAL, tmp_path)
    with pytest.raises(UsageError, match="holds no question"):
        read_dataset(NATURAL, write_rows(tmp_path / "a.jsonl", LEVAL[2:]))
    with pytest.raises(UsageError, match="there is no task 'en_mcq'"):
        find_task("en_mcq")


@pytest.mark.skipif(not SHARED.exists(), reason="needs the development data")
@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.form == "leval"])
def test_every_leval_task_scores_its_own_answers_full(name: str) -> None:
    task = find_task(name)
    for question in read_dataset(task, SHARED / "leval").questions:
        assert task.score(question.references[0], question.references) == 1


def test_another_kind_of_file_is_not_asked(tmp_path: Path) -> None:
    """F1 against a letter, or a letter against a phrase, would be a score of nothing."""
    row = {"input": "Text.", "instructions": ["Who?"], "outputs": ["Ann"], "evaluation": "f1"}
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(UsageError, match=r"holds no question that quality can score \(by accuracy\)"):
        read_dataset(find_task("quality"), file)
    file.write_text(json.dumps(row | {"evaluation": "exam"}))
    with pytest.raises(UsageError, match="holds no question that natural_question can score"):
        read_dataset(find_task("natural_question"), file)


def test_an_empty_document_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps({"context": " ", "input": "Who?", "answer": "Ann"}))
    with pytest.raises(SeriatimError, match=r"line 1: .*context is empty"):
        read_dataset(find_task("en_qa"), file)
