import json
from pathlib import Path

import pytest

from seriatim.cli.demo import sample_documents, sample_folder
from seriatim.retrieval.library import Library
from tests.cli.terminal import seriatim
from tests.models.chat_server import chat_server

DEPTH = "Sennet Water was 68 feet deep at its deepest point."


def without_second_stage(home: Path) -> None:
    Library(home / "demo", embedder="static").close()


def test_the_sample_is_found_and_holds_the_documents_alone() -> None:
    names = [path.name for path in sample_documents(sample_folder())]
    assert names == ["sennet-water.md"]


def test_the_demo_explains_asks_and_suggests(own_home: Path) -> None:
    without_second_stage(own_home)
    with chat_server() as model:
        for text in ("Find the soundings.", "It was 68 feet.", DEPTH, "correct"):
            model.says(text)
        done = seriatim("demo", "--model", model.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The Sennet Water Papers")
    questions = [json.loads(line)["question"] for line in (sample_folder() / "questions.jsonl").open(encoding="utf-8")]
    assert any(f"\n{question}\n" in done.stdout for question in questions)
    assert any(f'--question "{question}"' in done.stdout for question in questions)
    assert "\nSennet Water was 68 feet deep at its deepest point" in done.stdout
    assert "] sennet-water.md\n" in done.stdout
    assert len(done.stdout.partition("Now you:\n")[2].splitlines()) == 3
    assert not (own_home / "library").exists()


def test_the_demo_takes_another_question_and_gives_json(own_home: Path) -> None:
    without_second_stage(own_home)
    with chat_server() as model:
        for text in ("Find it.", "Nan Sallow took it.", "Nan Sallow took the chart.", "correct"):
            model.says(text)
        done = seriatim("demo", "--model", model.url, "--question", "Who took the chart?", "--json")
    assert json.loads(done.stdout)["question"] == "Who took the chart?"


@pytest.mark.parametrize("question", ["", " \n"])
def test_an_empty_question_is_wrong_use(own_home: Path, question: str) -> None:
    done = seriatim("demo", "--question", question)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the question is empty" in done.stderr
    assert not (own_home / "demo").exists()
