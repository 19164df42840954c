"""The task files for lm-evaluation-harness: the house's own words, and an answer read from nowhere but its place."""

import re
from pathlib import Path
from typing import Any

import pytest

from seriatim.evaluation.reasoning import gsm8k, mmlu
from seriatim.reflection.prompts import PROTOCOL

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[2] / "benchmarks" / "lm_eval"
TASKS = {task.name: task for task in (gsm8k.TASK, mmlu.TASK)}


def loaded(name: str) -> dict[str, Any]:
    held: dict[str, Any] = yaml.safe_load((FOLDER / f"seriatim_{name}.yaml").read_text(encoding="utf-8"))
    return held


def read(name: str, reading: str, response: str) -> str:
    """What the harness makes of a response: each pattern's `group_select`th find, "[invalid]" where there is none."""
    [filters] = [each["filter"] for each in loaded(name)["filter_list"] if each["name"] == reading]
    for each in filters:
        if each["function"] == "regex":
            found = re.findall(each["regex_pattern"], response)
            response = found[each.get("group_select", 0)].strip() if found else "[invalid]"
    return response


@pytest.mark.parametrize("name", TASKS)
def test_the_words_and_the_data_are_the_houses(name: str) -> None:
    held, task = loaded(name), TASKS[name]
    assert held["description"] == PROTOCOL + "\n\n"
    assert held["doc_to_text"].endswith(task.asked["in output"])
    assert (held["dataset_path"], held["dataset_kwargs"]["revision"]) == (task.hub.repository, task.hub.revision)
    assert held["generation_kwargs"]["max_gen_toks"] == task.tokens


@pytest.mark.parametrize(
    ("name", "response", "answer"),
    [
        ("gsm8k", "<thinking>9 * 2 = 18</thinking>\n<output>\n$1,018\n</output>", "1,018"),
        ("gsm8k", "<output>1</output> no: <output>2 eggs</output>", "2"),
        ("gsm8k", "<thinking>It is 18.</thinking> 18", "[invalid]"),
        ("gsm8k", "<thinking>It is 18.</thinking><output>18", "[invalid]"),
        ("gsm8k", "<output>eighteen</output>", "[invalid]"),
        ("mmlu", "<thinking>A?</thinking><output>(B) 11</output>", "B"),
        ("mmlu", "<output>\n**C**\n</output>", "C"),
        ("mmlu", "B", "[invalid]"),
        ("mmlu", "<output>Clearly B</output>", "[invalid]"),
    ],
)
def test_an_answer_stands_in_the_output(name: str, response: str, answer: str) -> None:
    assert read(name, "output", response) == answer


def test_a_servers_content_is_the_output() -> None:
    assert read("gsm8k", "content", "18 dollars") == "18"
    assert read("mmlu", "content", "B. 11") == "B"
