import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.cli.terminal import SERIATIM, in_terminal, seriatim, without_controls
from tests.models.chat_server import ChatServer, Script, chat_server
from tests.retrieval.conftest import VOYAGE

QUESTION = "What did a barrel of oil sell for?"


@pytest.fixture
def model() -> Iterator[ChatServer]:
    with chat_server() as served:
        yield served


def asked(model: ChatServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return seriatim("ask", QUESTION, "--model", model.url, "--effort", "fast", "--tokens", "300", *arguments)


def plays(model: ChatServer) -> None:
    """Plan, thinking, a draft with a fault, the reflection on it, a draft without, and the review that believes it."""
    model.says("Find the price ", "of the oil.")
    model.says("The oil was ", "sold at Sunder.")
    model.says("It sold for ninety crowns a barrel [1].")
    model.says("The price was eleven crowns.")
    model.says("They sold the oil at Sunder for eleven crowns a barrel.")
    model.says("correct")


def test_json_is_the_whole_answer(model: ChatServer, papers: Path) -> None:
    model.says("They sold the oil at Sunder for eleven crowns a barrel.", prompt_tokens=321, completion_tokens=12)
    model.says("correct", prompt_tokens=100, completion_tokens=1)
    done = asked(model, "--in", str(papers), "--no-reflect", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    contract = {"question", "answer", "thinking", "reflections", "complete", "citations", "passages", "model"}
    assert contract | {"usage", "timings"} <= set(result)
    assert result["answer"].startswith("They sold the oil at Sunder for eleven crowns a barrel")
    assert result["usage"] == {"prompt_tokens": 321, "completion_tokens": 13}
    citation: dict[str, Any] = result["citations"][0]
    passage = result["passages"][citation["passage"] - 1]
    assert "eleven crowns a barrel" in passage["text"]
    assert passage["start"] <= citation["start"] < citation["end"] <= passage["end"]


def test_a_pipe_gets_the_answer_and_its_citations_alone(model: ChatServer, kept: Path) -> None:
    plays(model)
    done = asked(model)
    assert (done.returncode, done.stderr) == (0, "")
    answer, citations = done.stdout.split("\n\n")
    assert answer.startswith("They sold the oil at Sunder for eleven crowns a barrel [")
    assert "] voyage.md\n" in citations
    assert "eleven crowns a barrel" in citations
    assert "Find the price" not in done.stdout


def test_the_thinking_on_demand(model: ChatServer, kept: Path) -> None:
    plays(model)
    text = asked(model, "--show-thinking").stdout
    places = [
        text.index(words) for words in ("Plan\nFind", "Thinking\n", "Draft\nIt sold", "Reflection\n", "Answer\nThey")
    ]
    assert places == sorted(places)


def test_a_terminal_gets_it_all(model: ChatServer, kept: Path) -> None:
    plays(model)
    command = (*SERIATIM, "ask", QUESTION, "--model", model.url, "--tokens", "300")
    status, written = in_terminal(command, columns=80)
    text = without_controls(written)
    assert status == 0
    for part in ("Plan\n", "Thinking\n", "Draft\n", "▎ Reflection\n", "Answer\n", "█ 1 cited", "small · "):
        assert part in text
    assert "reading " in text


def test_a_model_that_cannot_be_reached_is_one_line(kept: Path) -> None:
    done = seriatim("ask", QUESTION, "--model", "http://127.0.0.1:9", "--effort", "fast", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("seriatim: ")
    assert done.stderr.count("\n") == 1


def test_an_unknown_model_is_wrong_use(kept: Path) -> None:
    done = seriatim("ask", QUESTION, "--model", "no-such-model", "--effort", "fast")
    assert done.returncode == 2
    assert "no-such-model" in done.stderr


def interrupted(model: ChatServer, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Ask, and press Ctrl-C once the model answers; returns the exit status and what was written."""
    model.scripts.append(Script(events=[{"choices": [{"delta": {"content": "on and on "}}]}] * 1000, wait_s=0.05))
    command = [*SERIATIM, "ask", QUESTION, "--model", model.url, "--effort", "fast", *arguments]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        deadline = time.monotonic() + 60
        while not model.asked and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    return process.returncode, out, errors


def test_ctrl_c_says_what_is_kept(model: ChatServer, papers: Path) -> None:
    status, out, errors = interrupted(model, "--in", str(papers))
    assert (status, out) == (130, "")
    assert errors.strip() == "seriatim: stopped; what came into the library or was downloaded until now is kept"
    assert model.hung_up.wait(10)
    assert len(json.loads(seriatim("library", "list", "--json").stdout)["documents"]) == 2


def test_ctrl_c_leaves_nothing_of_standard_input(
    model: ChatServer, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert interrupted(model, "--in", "-", stdin=VOYAGE)[0] == 130
    assert not os.listdir(tmp_path)
    assert json.loads(seriatim("library", "list", "--json").stdout)["documents"] == []
