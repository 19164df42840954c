"""Conversations and preferences → ids, in the layout of OLMoE's own chat template.

The layout is `Tokenizer.chat`'s, with which models are asked, too: a mark of a turn in an example's text is text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seriatim.errors import TrainingError, UsageError
from seriatim.olmoe.tokenizer import ROLES, Tokenizer
from seriatim.training.data import jsonl
from seriatim.training.data.batches import IGNORED

Row = dict[str, NDArray[np.int32]]
"""An example's ids: `input_ids` and `labels`, [T] each, or `prompt_ids`, `chosen_ids` and `rejected_ids`."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Examples:
    """The rows, and how many were left out because they are too long."""

    rows: list[Row]
    too_long: int


def conversations(file: Path, tokenizer: Tokenizer, max_length: int) -> Examples:
    """The examples in JSONL of `{"messages": [{"role", "content"} …]}`, of whose tokens the answers' alone are learnt.

    Raises `UsageError` for a file that is not there, and `TrainingError`, naming the line, for a row that is none.
    """
    return _examples(file, lambda row: conversation(_messages(row, "messages"), tokenizer), max_length)


def preferences(file: Path, tokenizer: Tokenizer, max_length: int) -> Examples:
    """The examples in JSONL of `{"prompt", "chosen", "rejected"}`: the prompt is a text or a list of messages, the
    answers are texts or lists of one message. Raises as `conversations` does."""
    return _examples(file, lambda row: preference(row, tokenizer), max_length)


def conversation(turns: Sequence[Turn], tokenizer: Tokenizer) -> Row:
    """The ids of a conversation and their labels: each answer's tokens and the end of text behind it, else `IGNORED`.

    Raises `ValueError` where the last turn is not the assistant's.
    """
    if not turns or turns[-1].role != "assistant":
        raise ValueError("the last message must be the assistant's")
    ids: list[int] = []
    labels: list[int] = []
    for number, turn in enumerate(turns):
        if turn.role == "assistant":
            before = tokenizer.chat(turns[:number])
            answer = _answer(turn.content, tokenizer)
            labels += [IGNORED] * (len(before) - len(ids)) + answer
            ids = before + answer
    return {"input_ids": np.array(ids, dtype=np.int32), "labels": np.array(labels, dtype=np.int32)}


def preference(row: dict[str, Any], tokenizer: Tokenizer) -> Row:
    """The ids of a prompt, up to where an answer begins, and of two answers, each with the end of text.

    Raises `ValueError` for a row that is none, and for two answers that are one.
    """
    prompt = row.get("prompt")
    turns = [Turn("user", prompt)] if isinstance(prompt, str) else _messages(row, "prompt")
    chosen, rejected = (_answer(_completion(row, key), tokenizer) for key in ("chosen", "rejected"))
    if turns[-1].role == "assistant":
        raise ValueError("the prompt must not end with an answer")
    if chosen == rejected:
        raise ValueError("chosen and rejected are the same")
    ids = {"prompt_ids": tokenizer.chat(turns), "chosen_ids": chosen, "rejected_ids": rejected}
    return {name: np.array(each, dtype=np.int32) for name, each in ids.items()}


def given(rows: Sequence[Any], columns: Sequence[str], vocabulary: int) -> list[Row]:
    """Rows that someone has made, checked. Raises `TrainingError`, naming the row, for one that lacks a column, has ids
    outside of the vocabulary, labels of another length than its ids or other than they are, or nothing to learn."""
    if not len(rows):
        raise TrainingError("there are no rows to learn from")
    return [_checked(row, columns, vocabulary, number) for number, row in enumerate(rows)]


def _checked(row: Any, columns: Sequence[str], vocabulary: int, number: int) -> Row:
    try:
        made = {name: np.asarray(row[name], dtype=np.int32) for name in columns}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"row {number}: needs {', '.join(columns)}, lists of ids ({error!r})") from error
    ids, labels = {name: each for name, each in made.items() if name != "labels"}, made.get("labels")
    for name, each in ids.items():
        if each.ndim != 1 or not each.size or each.min() < 0 or each.max() >= vocabulary:
            raise TrainingError(f"row {number}: {name} must be ids from 0 to {vocabulary - 1}, and some")
    if labels is not None:
        if labels.shape != made["input_ids"].shape:
            raise TrainingError(f"row {number}: as many labels as input_ids")
        learnt = labels != IGNORED
        if not learnt[1:].any() or (labels != made["input_ids"])[learnt].any():
            raise TrainingError(
                f"row {number}: a label is its token's id or {IGNORED}, and some after the first are ids"
            )
    return made


def _examples(file: Path, made: Callable[[dict[str, Any]], Row], max_length: int) -> Examples:
    rows: list[Row] = []
    too_long = 0
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = made(jsonl.row(line))
                except ValueError as error:
                    raise TrainingError(f"{file}, line {number}: {error}") from error
                fits = _length(row) <= max_length
                too_long += not fits
                rows += [row] if fits else []
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if not rows:
        longer = f" of at most {max_length} tokens: {too_long} are longer" if too_long else ""
        raise TrainingError(f"{file} holds no example{longer}")
    return Examples(rows, too_long)


def _length(row: Row) -> int:
    if "input_ids" in row:
        return len(row["input_ids"])
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


def _messages(row: dict[str, Any], key: str) -> list[Turn]:
    messages = row.get(key)
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"{key!r} must be a list of messages")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise ValueError('a message must be {"role": …, "content": "…"}')
        if message.get("role") not in ROLES:
            raise ValueError(f"a message's role is {', '.join(ROLES)}: not {message.get('role')!r}")
    return [Turn(message["role"], message["content"]) for message in messages]


def _completion(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if isinstance(value, str):
        return value
    turns = _messages(row, key)
    if len(turns) != 1 or turns[0].role != "assistant":
        raise ValueError(f"{key!r} must be a text, or a list of one message of the assistant")
    return turns[0].content


def _answer(text: str, tokenizer: Tokenizer) -> list[int]:
    if not text.strip():
        raise ValueError("an answer is empty")
    if tokenizer.eos_id is None:
        raise TrainingError("the tokenizer has no end of text")
    return [*tokenizer.encode(text), tokenizer.eos_id]
