import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import SERIATIM, in_terminal, seriatim, without_controls
from tests.retrieval.conftest import ORCHARD, VOYAGE

QUESTION = "What did a barrel of oil sell for?"


def found(*arguments: str) -> Any:
    done = seriatim("search", QUESTION, "--effort", "fast", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_json_gives_the_passages_as_slices_of_their_document(papers: Path) -> None:
    result = found("--in", str(papers / "voyage.md"), "--tokens", "300")
    assert set(result) == {"question", "passages", "tokens"}
    assert result["question"] == QUESTION
    assert 0 < result["tokens"] <= 300
    assert any("eleven crowns a barrel" in passage["text"] for passage in result["passages"])
    for passage in result["passages"]:
        assert set(passage) == {"document", "index", "start", "end", "page", "rank", "score", "text"}
        assert passage["text"] == VOYAGE[passage["start"] : passage["end"]]
        assert passage["document"] == str(papers / "voyage.md")
    starts = [passage["start"] for passage in result["passages"]]
    assert starts == sorted(starts)


def test_order_and_passages_are_handed_on(papers: Path) -> None:
    result = found("--in", str(papers), "--order", "relevance", "--passages", "2")
    assert [passage["rank"] for passage in result["passages"]] == [1, 2]


def test_a_budget_may_fit_the_question(papers: Path) -> None:
    result = found("--in", str(papers), "--tokens", "auto")
    assert 0 < result["tokens"] <= 8192
    assert any("eleven crowns a barrel" in passage["text"] for passage in result["passages"])


def test_in_limits_the_question_to_what_it_names(kept: Path, papers: Path) -> None:
    everywhere = {passage["document"] for passage in found()["passages"]}
    assert everywhere == {str(papers / "voyage.md"), str(papers / "orchard.txt")}
    assert {passage["document"] for passage in found("--in", f"{papers}/*.txt")["passages"]} == {
        str(papers / "orchard.txt")
    }


def test_standard_input_is_a_document() -> None:
    done = seriatim(
        "search", "Who planted the pears?", "--in", "-", "--effort", "fast", "--json", stdin=ORCHARD.encode()
    )
    passages = json.loads(done.stdout)["passages"]
    assert {passage["document"] for passage in passages} == {"-"}
    assert any("Aunt Ottilie" in passage["text"] for passage in passages)


def test_standard_input_is_asked_about_once(kept: Path, papers: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "passing"))
    (tmp_path / "passing").mkdir()
    seriatim("add", "-", stdin=b"The Petrel was built at Aldmouth.")
    before = seriatim("library", "list").stdout
    for arguments, status in (((), 0), (("--in", str(papers)), 0), (("--in", "/nowhere"), 0), (("--tokens", "1"), 2)):
        command = ("search", "Who planted the pears?", "--effort", "fast", "--in", "-", *arguments)
        assert seriatim(*command, stdin=ORCHARD.encode()).returncode == status
    assert seriatim("library", "list").stdout == before
    assert "built at Aldmouth" in seriatim("search", "Where was she built?", "--effort", "fast").stdout
    assert os.listdir(tmp_path / "passing") == []


def test_other_documents_stay_for_questions_without_in(own_home: Path, papers: Path) -> None:
    assert {passage["document"] for passage in found("--in", str(papers / "voyage.md"))["passages"]} == {
        passage["document"] for passage in found()["passages"]
    }


def test_a_pipe_gets_plain_text_with_gaps_marked(papers: Path) -> None:
    done = seriatim("search", QUESTION, "--in", str(papers / "voyage.md"), "--effort", "fast", "--tokens", "200")
    assert done.stderr == ""
    assert done.stdout.startswith("[1] voyage.md · at ")
    assert " · rank 1\n" in done.stdout
    assert "\n⋯\n" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("columns", [40, 100])
def test_a_terminal_gets_wrapped_text_and_the_strip(kept: Path, columns: int) -> None:
    status, written = in_terminal((*SERIATIM, "search", QUESTION, "--tokens", "300"), columns=columns)
    text = without_controls(written)
    assert status == 0
    assert "orchard.txt" in text
    assert "─━" in text
    assert "passages found" in text
    assert max(map(len, text.splitlines())) <= columns


def test_nothing_to_ask_is_explained(own_home: Path) -> None:
    done = seriatim("search", QUESTION)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"seriatim: there is nothing to ask yet: the library {own_home / 'library'} is empty; "
        "name documents with --in PATH, or keep some with: seriatim add PATH\n"
    )


def test_unreadable_files_are_listed_and_the_rest_is_searched(papers: Path) -> None:
    (papers / "empty.txt").touch()
    done = seriatim("search", QUESTION, "--in", str(papers), "--in", "/nowhere.txt", "--effort", "fast")
    assert done.returncode == 0
    assert sorted(done.stderr.splitlines()) == [
        "seriatim: /nowhere.txt: no such file or folder",
        "seriatim: empty.txt is empty; there is nothing to read",
    ]
    assert "eleven crowns" in done.stdout


def test_when_nothing_could_be_read_it_fails() -> None:
    done = seriatim("search", QUESTION, "--in", "/nowhere.txt", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "seriatim: /nowhere.txt: no such file or folder\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((" ",), "the question is empty; ask something"),
        (("x", "--tokens", "0"), "'--tokens': '0' is not a whole number of at least 1, or auto"),
        (("x", "--passages", "0"), "'--passages': 0 is not a whole number of at least 1"),
        (("x", "--tokens", "many"), "'--tokens': 'many' is not a whole number of at least 1"),
        (("x", "--tokens", "a is not b"), "'--tokens': 'a is not b' is not a whole number of at least 1"),
        (("x", "--order", "random"), "'random' is not one of 'document', 'relevance'"),
        (("x", "--effort", "some"), "'some' is not one of 'fast', 'balanced', 'thorough'"),
        ((), "Missing argument 'QUESTION'"),
        (("x", "--nonsense"), "No such option: --nonsense"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(arguments: tuple[str, ...], complaint: str) -> None:
    done = seriatim("search", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("seriatim: ")
    assert complaint in done.stderr
    assert done.stderr.endswith("(see: seriatim search --help)\n")
    assert done.stderr.count("\n") == 1


def test_an_address_is_no_document() -> None:
    done = seriatim("search", QUESTION, "--in", "https://example.org/voyage.pdf")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "seriatim: https://example.org/voyage.pdf: an address; download it and name the file\n"


def test_control_characters_in_names_and_texts_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "bad\x1b[31m\nname.txt").write_text("A bell \x07 rang. \x1b]0;owned\x07 Then \x9b2J nothing.\n" * 3)
    written = in_terminal((*SERIATIM, "search", "bell?", "--in", str(tmp_path), "--effort", "fast"), NO_COLOR="1")[1]
    assert "bad�[31m" in without_controls(written)
    assert "\x07" not in written
    assert "\x1b]" not in written
    assert "\x9b" not in written


def test_a_library_of_ones_own(papers: Path, tmp_path: Path, own_home: Path) -> None:
    found("--in", str(papers), "--library", str(tmp_path / "mine"))
    assert os.listdir(tmp_path / "mine")
    assert not (own_home / "library").exists()
