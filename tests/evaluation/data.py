"""Small data of both benchmarks' forms, and a reader that can be counted on."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seriatim.models.generator import Message, Piece, Usage
from tests.retrieval.conftest import ORCHARD, VOYAGE

SHARED = Path(__file__).parents[3] / "shared" / "data"

LEVAL = [
    {
        "input": VOYAGE,
        "instructions": ["What did a barrel of oil sell for?", "What was the cat called?", "Who kept the log?"],
        "outputs": ["eleven crowns", "Bishop", "Captain Ysolde Marr"],
        "source": "test",
        "evaluation": "f1",
    },
    {
        "input": ORCHARD,
        "instructions": ["Who planted the pear trees?", "Where did the bees come from?"],
        "outputs": ["Aunt Ottilie", "a schoolmaster at Sunder"],
        "source": "test",
        "evaluation": "f1",
    },
    {"input": ORCHARD, "instructions": ["Sum it up."], "outputs": ["Trees."], "source": "test", "evaluation": "LLM"},
]
INFINITEBENCH = [
    {
        "id": 7, "context": VOYAGE, "input": "Who swam back?", "answer": ["Bishop"],
        "options": ["Ysolde", "Bishop", "Ottilie", "the mate"],
    },
    {
        "id": 8, "context": VOYAGE, "input": "What split?", "answer": ["the foremast", "A"],
        "options": ["the foremast", "the chain", "the cat", "a pear"],
    },
]  # fmt: skip


def write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """`rows` as a JSONL file."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


class Echo:
    """Answers each prompt with the longest word of its question, and keeps what it was asked."""

    name = "echo"
    context_tokens = 4096
    span_tokens = 4096

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def stream(self, messages: Sequence[Message], **_options: Any) -> Iterator[Piece]:
        self.prompts.append(messages[-1].content)
        question = self.prompts[-1].rpartition("Question: ")[2].partition("\n")[0]
        yield Piece(max(question.split(), key=len))
        yield Piece("", finish_reason="stop", usage=Usage(len(self.prompts[-1].split()), 1, 0, 0.5, 0.25))

    def close(self) -> None: ...
