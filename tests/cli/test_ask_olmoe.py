"""The main job on a checkpoint's folder: a tiny model with random weights, whose every word is nonsense."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seriatim.answering import answer
from seriatim.models.generator import Piece, Usage
from seriatim.models.olmoe import NativeOlmoe
from seriatim.reflection.phases import Budgets
from seriatim.reflection.prompts import REFLECTIVE
from seriatim.retrieval.library import Library
from tests.cli.terminal import seriatim
from tests.models.olmoe_folder import make_checkpoint
from tests.olmoe.conftest import one_thread  # noqa: F401

QUESTION = "What did a barrel of oil sell for?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("models") / "tiny-olmoe")


@pytest.fixture
def one_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find what an earlier one compiled and packed, and leave the other cores alone."""
    monkeypatch.setenv("SERIATIM_HOME", str(folder.parent / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def asked(folder: Path, papers: Path, *arguments: str) -> Any:
    done = seriatim(
        "ask", QUESTION, "--in", str(papers), "--model", str(folder), "--effort", "fast", "--tokens", "300", *arguments
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return json.loads(done.stdout)


def test_a_checkpoint_answers_in_phases(folder: Path, papers: Path, one_home: None) -> None:
    told = asked(folder, papers, "--json")

    assert told["model"] == "tiny-olmoe"
    assert told["passages"]
    assert told["plan"]
    assert told["thinking"]
    assert told["answer"]
    assert told["usage"]["prompt_tokens"] > 500
    assert told["usage"]["completion_tokens"] > 64
    assert all(seconds > 0 for seconds in told["timings"].values())


def test_a_checkpoint_answers_at_once(folder: Path, papers: Path, one_home: None) -> None:
    told = asked(folder, papers, "--no-reflect", "--json")

    assert (told["plan"], told["thinking"], told["reflections"]) == ("", "", [])
    assert told["usage"]["completion_tokens"] > 0


def test_a_context_too_short_for_an_answer_is_one_line(papers: Path, tmp_path: Path, one_home: None) -> None:
    short = make_checkpoint(tmp_path / "short", max_position_embeddings=256)

    done = seriatim("ask", QUESTION, "--in", str(papers), "--model", str(short), "--effort", "fast")

    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr == (
        "seriatim: short holds 256 tokens, too few for a question over even one passage; choose a model with a longer "
        "context\n"
    )


class Watched(NativeOlmoe):
    """Notes what each call cost."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, dtype="float32")
        self.calls: list[tuple[str, Usage]] = []

    def stream(self, *arguments: Any, **options: Any) -> Iterator[Piece]:  # type: ignore[override]
        for piece in super().stream(*arguments, **options):
            if piece.usage:
                self.calls.append((options.get("prefix", ""), piece.usage))
            yield piece


def test_each_phase_and_a_second_question_read_only_what_is_new(kept: Path, tmp_path: Path) -> None:
    reader = Watched(make_checkpoint(tmp_path / "long", max_position_embeddings=16_384))
    budgets = Budgets(first_look=10_000, plan=16, thinking=16, reflection=16, output=16)
    with Library(kept) as library:
        for question in (QUESTION, "Where was the oil sold?"):
            *_, last = answer(question, library, reader, tokens=10_000, effort="fast", budgets=budgets)
            assert last.kind == "answer"

    (_, first), *rest = reader.calls
    phases = [(prefix, usage) for prefix, usage in rest if prefix]  # a review has none, and reads other passages
    assert first.cached_tokens == 0
    assert len(phases) > 4
    after_the_passages = len(REFLECTIVE) + 50
    for prefix, usage in phases:
        assert usage.prompt_tokens > 3 * after_the_passages
        assert usage.prompt_tokens - usage.cached_tokens < after_the_passages + len(prefix.encode())
