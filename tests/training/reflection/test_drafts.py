import json
from collections import Counter
from pathlib import Path

import pytest

from seriatim.errors import SeriatimError
from seriatim.evaluation.reasoning import humaneval
from seriatim.evaluation.reasoning.arms import messages
from seriatim.models.generator import Message
from seriatim.reflection.prompts import REFLECTIVE
from seriatim.reflection.prompts import conversation as served
from seriatim.retrieval.library import Library
from seriatim.sampling import Sampling
from seriatim.training.reflection import making
from seriatim.training.reflection.config import read_config
from seriatim.training.reflection.drafts import about_code, about_passages, answered, confirmed, corrected
from seriatim.training.reflection.segments import fault, read_examples
from seriatim.training.reflection.template import conversation
from tests.evaluation.reasoning.scripted import HUMANEVAL
from tests.programs.test_sandbox import isolated
from tests.reflection.scripted import Scripted
from tests.training.reflection.verifiers.test_others import context

CONTEXT = context("The harbour was quiet in March.", "Captain Ayres signed the lease in 1912.")
ASKED = about_passages(CONTEXT)
WRONG, RIGHT = "Captain Ayres signed the lease in 1915 [2].", "Captain Ayres signed the lease in 1912 [2]."


def test_a_draft_that_the_check_refuses_is_corrected_by_what_it_found() -> None:
    example = corrected(ASKED, WRONG, RIGHT)
    assert example is not None
    assert fault(example) is None
    assert [(each.role, each.train) for each in example.segments] == [
        ("error", False), ("reflection", True), ("output", True),
    ]  # fmt: skip
    assert "1915" in example.segments[1].text


def test_it_is_asked_as_ask_asks() -> None:
    example = corrected(ASKED, WRONG, RIGHT)
    assert example is not None
    asked: list[Message] = conversation(example.question, example.system, example.instruction)
    assert asked == served(CONTEXT, REFLECTIVE)


def test_nothing_comes_of_a_right_draft_or_a_wrong_correction() -> None:
    assert corrected(ASKED, RIGHT, RIGHT) is None
    assert corrected(ASKED, WRONG, WRONG) is None
    assert corrected(ASKED, RIGHT, WRONG) is None


def test_the_first_refused_and_the_first_accepted_answer_make_an_example() -> None:
    counts: Counter[str] = Counter()
    model = Scripted(WRONG, "Captain Ayres signed it in 1916 [2].", RIGHT, *[RIGHT] * 3)
    made = list(
        answered([ASKED] * 2, model, samples=3, sampling=Sampling(0.8), max_tokens=99, confirm=0, counts=counts)
    )
    assert [each.text for each in made[0].segments if each.role != "reflection"] == [WRONG, RIGHT]
    assert len(made) == 1
    assert counts["refused"] == 2


def test_where_nothing_is_refused_a_share_is_confirmed() -> None:
    counts: Counter[str] = Counter()
    [example] = answered(
        [ASKED], Scripted(RIGHT, RIGHT), samples=2, sampling=Sampling(0.8), max_tokens=99, confirm=1, counts=counts
    )
    assert fault(example) is None
    assert [(each.role, each.train) for each in example.segments] == [
        ("step", True), ("reflection", True), ("output", True),
    ]  # fmt: skip
    assert counts == {"accepted": 2, "confirmed": 1}
    assert confirmed(ASKED, "It is </thinking>.") is None


@isolated
def test_code_that_fails_its_tests_is_corrected_by_code_that_passes() -> None:
    asked = about_code("def double(n):\n", "double", "def check(double):\n    assert double(2) == 4\n")
    example = corrected(asked, "def double(n):\n    return n", "def double(n):\n    return 2 * n")
    assert example is not None
    assert example.segments[1].text == "The tests fail: AssertionError."
    assert example.verified == "unit tests"
    assert corrected(asked, "def double(n):\n    return 2 * n", "def double(n):\n    return 2 * n") is None


LIBRARY = """
out = "out.jsonl"
[task]
name = "library"
library = "papers"
data = "questions.jsonl"
[maker]
model = "scripted"
samples = 2
"""


def test_a_librarys_documents_make_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lease.txt").write_text("The harbour was quiet in March. Captain Ayres signed the lease in 1912.")
    (tmp_path / "questions.jsonl").write_text(json.dumps({"question": "Who signed the lease?"}) + "\n")
    (tmp_path / "mine.toml").write_text(LIBRARY)
    with pytest.raises(SeriatimError, match=r"there is no library in .*papers; make it with: seriatim add"):
        making.make(read_config(tmp_path / "mine.toml"))
    with Library(tmp_path / "papers", embedder="static") as library:
        library.add(tmp_path / "lease.txt")
    model = Scripted(WRONG.replace("[2]", "[1]"), RIGHT.replace("[2]", "[1]"))
    monkeypatch.setattr(making, "open_generator", lambda *_args, **_named: model)
    made = making.make(read_config(tmp_path / "mine.toml"))
    (example,) = read_examples(made.file)
    assert "1915" in example.segments[1].text
    assert example.segments[2].text == RIGHT.replace("[2]", "[1]")


@isolated
def test_functions_make_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "functions.jsonl").write_text(json.dumps(HUMANEVAL[0]) + "\n")
    (tmp_path / "mine.toml").write_text(
        LIBRARY.replace('"library"\nlibrary = "papers"', '"code"').replace("questions", "functions")
    )
    model = Scripted("def double(n):\n    return n", "def double(n):\n    return half(4 * n)")
    monkeypatch.setattr(making, "open_generator", lambda *_args, **_named: model)
    made = making.make(read_config(tmp_path / "mine.toml"))
    (example,) = read_examples(made.file)
    assert [each.role for each in example.segments] == ["error", "reflection", "output"]
    asked = conversation(example.question, example.system, example.instruction)
    assert asked == messages(humaneval.TASK, humaneval.TASK.problems(HUMANEVAL)[0], "in output")
    (tmp_path / "functions.jsonl").write_text(json.dumps({"prompt": "def f():"}) + "\n")
    with pytest.raises(SeriatimError, match="line 1: there is no entry_point in it"):
        making.make(read_config(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('library = "papers"\n', "", "task.data and task.library must be"),
        ("samples = 2", 'maker = "traces"', "maker.maker must be mining"),
        ('data = "questions.jsonl"', 'data = "questions.jsonl"\ntokens = 0', "task.tokens = 0 must be at least 1"),
    ],
)
def test_settings_of_a_library_that_make_no_sense(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "mine.toml").write_text(LIBRARY.replace(old, new))
    with pytest.raises(SeriatimError, match=said):
        read_config(tmp_path / "mine.toml")
