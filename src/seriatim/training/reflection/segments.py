"""Typed segments → token ids and labels.

Each piece is tokenised by itself and carries its own mask, so nothing is ever searched for in the text: a tag in a
system prompt is no reflection. A response that does not fit is dropped, never cut: one that lost its `</output>`
would teach the model not to answer.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

import numpy as np
from numpy.typing import NDArray

from seriatim.errors import TrainingError
from seriatim.files import write_text
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.reflection.parser import escape_tags
from seriatim.training.data import jsonl
from seriatim.training.data.batches import IGNORED
from seriatim.training.reflection.template import ROLES, Role, Segment, conversation, pieces


@dataclass(frozen=True, slots=True)
class Example:
    """A question, and a response in segments. `system` and `instruction` are what it is asked with; `source` says who
    made it, `verified` which verifier accepted it."""

    question: str
    segments: tuple[Segment, ...]
    system: str = ""
    instruction: str = ""
    source: str = ""
    verified: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids and, for each, itself where it is learned from and `IGNORED` elsewhere; `roles` names the segment that
    a token belongs to, None for what is asked and for the template."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    roles: tuple[Role | None, ...]


def encode(example: Example, tokenizer: Tokenizer) -> Encoded:
    """The example as the model sees it: what is asked (never learned from), the response, and the end of text.

    Raises `TrainingError` for what the protocol has no room for, as `fault` names it.
    """
    if wrong := fault(example):
        raise TrainingError(f"this example cannot be trained on: {wrong}")
    ids = tokenizer.chat(conversation(example.question, example.system, example.instruction))
    labels = [IGNORED] * len(ids)
    roles: list[Role | None] = [None] * len(ids)
    for piece in pieces(example.segments):
        piece_ids = tokenizer.encode(piece.text)
        ids += piece_ids
        labels += piece_ids if piece.train else [IGNORED] * len(piece_ids)
        roles += [piece.role] * len(piece_ids)
    if tokenizer.eos_id is not None:
        ids.append(tokenizer.eos_id)
        labels.append(tokenizer.eos_id)
        roles.append(None)
    return Encoded(tuple(ids), tuple(labels), tuple(roles))


def fault(example: Example) -> str | None:
    """Why an example is no whole response of the protocol; None where it is one."""
    if [segment.role for segment in example.segments].count("output") != 1 or example.segments[-1].role != "output":
        return "it does not end in its one output"
    if any(segment.role == "plan" for segment in example.segments[1:]):
        return "its plan does not stand first"
    if any(escape_tags(segment.text) != segment.text for segment in example.segments):
        return "there is a tag inside a segment"
    if not example.segments[-1].text.strip():
        return "its output is empty"
    return None


def encode_all(examples: Iterable[Example], tokenizer: Tokenizer, longest: int) -> tuple[list[Encoded], dict[str, int]]:
    """The examples that can be trained on in `longest` tokens, and how many were kept, and dropped for which reason."""
    kept: list[Encoded] = []
    counts: Counter[str] = Counter(kept=0)
    for example in examples:
        reason = fault(example)
        if reason is None:
            encoded = encode(example, tokenizer)
            if len(encoded.ids) <= longest:
                kept.append(encoded)
                counts["kept"] += 1
                continue
            reason = f"it is longer than {longest} tokens"
        counts[reason] += 1
    return kept, dict(counts)


def rows(encoded: Iterable[Encoded]) -> list[dict[str, NDArray[np.int32]]]:
    """The examples as `tune.sft` takes them."""
    return [{"input_ids": np.array(each.ids, np.int32), "labels": np.array(each.labels, np.int32)} for each in encoded]


def write_examples(file: Path, examples: Sequence[Example]) -> None:
    """Write a file of examples, one a line of JSON; whole or not at all. Raises `TrainingError` where it cannot be."""
    try:
        write_text(file, "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in examples))
    except OSError as error:
        raise TrainingError(f"the examples cannot be written to {file}: {error.strerror}") from error


def read_examples(file: Path) -> Iterator[Example]:
    """The examples of a file. Raises `TrainingError`, naming the line, for one that is none."""
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                yield _example(line, f"{file}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"the examples cannot be read from {file}: {error}") from error


def _example(line: str, where: str) -> Example:
    try:
        values = jsonl.row(line)
        segments = tuple(Segment(**{"train": each["role"] != "error"} | each) for each in values.pop("segments"))
        example = Example(segments=segments, **values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrainingError(f"{where} is no example ({error}): see docs/reflection-tuning.md for the format") from error
    for held, kind in ((example, Example), *((segment, Segment) for segment in segments)):
        for name, wanted in get_type_hints(kind).items():
            value = getattr(held, name)
            if wanted in (str, bool) and not isinstance(value, wanted):
                raise TrainingError(f"{where}: {name} = {value!r} must be of type {wanted.__name__}")
    for segment in segments:
        if segment.role not in ROLES:
            raise TrainingError(f"{where}: {segment.role!r} is no role; they are {', '.join(ROLES)}")
    return example
