"""The documents and questions of a task, from a JSONL file of ∞Bench's or L-Eval's form."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.choices import LETTERS
from seriatim.evaluation.tasks import Question, Task

FORMS = {"infinitebench": "∞Bench", "leval": "L-Eval"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """A task's documents by name, and the questions about them. `sha256` is of the file that they came from."""

    documents: dict[str, str]
    questions: tuple[Question, ...]
    sha256: str

    def draw(self, limit: int | None, seed: int) -> "Dataset":
        """At most `limit` of the questions, drawn at random; a larger limit with the same seed adds to a smaller
        one. The documents that none is about are left out."""
        drawn = random.Random(seed).sample(self.questions, len(self.questions))[:limit]
        chosen = {question.id for question in drawn}
        questions = tuple(question for question in self.questions if question.id in chosen)
        names = {question.over for question in questions}
        return replace(
            self, questions=questions, documents={n: text for n, text in self.documents.items() if n in names}
        )

    def stitch(self, words: int) -> "Dataset":
        """The documents joined, in their order, into long ones of at least `words` words each.

        What is left at the end is joined to the last one, so that none is short.
        """
        groups: list[list[str]] = [[]]
        for name in self.documents:
            if sum(len(self.documents[each].split()) for each in groups[-1]) >= words:
                groups.append([])
            groups[-1].append(name)
        if len(groups) > 1 and sum(len(self.documents[each].split()) for each in groups[-1]) < words:
            last = groups.pop()
            groups[-1] += last
        joined = {"+".join(group): "\n\n\n".join(self.documents[each] for each in group) for group in groups}
        home = {name: "+".join(group) for group in groups for name in group}
        questions = tuple(replace(question, stitched=home[question.document]) for question in self.questions)
        return replace(self, documents=joined, questions=questions)


def read_dataset(task: Task, path: Path) -> Dataset:
    """The task's data in `path`, a JSONL file or a folder that holds the task's `file`.

    Raises `UsageError` where there is none, `SeriatimError` for a line that has not the task's form, and for questions
    with the same id.
    """
    file = path / task.file if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"the data of {task.name} cannot be read from {file}: {error.strerror}") from error
    rows = _infinitebench if task.form == "infinitebench" else _leval
    documents: dict[str, str] = {}
    questions: list[Question] = []
    for number, row in json_lines(data, file):
        try:
            name, text, found = rows(task, number, row, documents)
        except (KeyError, TypeError, ValueError) as error:
            raise SeriatimError(
                f"{file}, line {number + 1}: not a row of {FORMS[task.form]}'s form ({reason(error)})"
            ) from error
        documents[name] = text
        questions += found
    if not questions:
        raise UsageError(f"{file} holds no question that {task.name} can score (by {task.metric})")
    distinct([question.id for question in questions], file)
    return Dataset(documents, tuple(questions), hashlib.sha256(data).hexdigest())


def json_lines(data: bytes, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file, numbered by line from 0. Raises `SeriatimError` for a line that is none."""
    for number, line in enumerate(data.split(b"\n")):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 0 else "utf-8"))
        except (ValueError, RecursionError) as error:
            raise SeriatimError(f"{file}, line {number + 1}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise SeriatimError(f"{file}, line {number + 1}: a JSON object was expected")
        yield number, row


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A row's text. Raises `KeyError`, `TypeError` or `ValueError` where there is none."""
    return _text(name, row[name])


def texts_of(row: Mapping[str, Any], name: str) -> list[str]:
    """A row's texts, one at least. Raises as `text_of` does."""
    values = row[name]
    if not isinstance(values, list):
        raise TypeError(f"{name} must be a list of texts, not {values!r:.40}")
    if not values:
        raise ValueError(f"{name} is empty")
    return [_text(name, each) for each in values]


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {value!r:.40}")
    value.encode()  # half of a surrogate pair is no text that a model can read
    return value


def reason(error: Exception) -> str:
    """What was wrong with a row, in words."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def distinct(ids: Sequence[str], source: object) -> None:
    """Raise `SeriatimError` where two of `ids` are the same, since a run tells its questions by them."""
    again = [each for each, count in Counter(ids).items() if count > 1]
    if again:
        raise SeriatimError(f"{source} has several questions with the id {again[0]}: give each an id of its own")


def choice_label(options: Sequence[str], answer: Sequence[str] | str) -> tuple[str, ...]:
    """The right option's text and its letter, from what ∞Bench gives as the answer. Raises `ValueError` without."""
    given = [answer] if isinstance(answer, str) else list(answer)
    if len(given) == 2 and given[1] in tuple(LETTERS):
        return tuple(given)
    if given[0] not in options:
        raise ValueError(f"the answer {given[0]!r:.40} is none of the options")
    return given[0], LETTERS[list(options).index(given[0])]


def _infinitebench(
    task: Task, number: int, row: dict[str, Any], held: dict[str, str]
) -> tuple[str, str, list[Question]]:
    """A row holds one question and its whole book; the same book comes again with each of its questions."""
    text = _document(row, "context")
    name = f"{task.name}/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    options = tuple(texts_of(row, "options")) if task.metric == "accuracy" else ()
    if not all(each.strip() for each in options):
        raise ValueError("an option is empty")
    if len(options) > len(LETTERS):
        raise ValueError(f"at most four options were expected, not {len(options)}")
    answers = [text_of(row, "answer")] if isinstance(row["answer"], str) else texts_of(row, "answer")
    references = choice_label(options, answers) if options else tuple(answers)
    question = Question(
        f"{task.name}/{row.get('id', number)}", name, _question(text_of(row, "input")), references, options
    )
    return name, held.get(name, text), [question]


def _leval(task: Task, number: int, row: dict[str, Any], _held: dict[str, str]) -> tuple[str, str, list[Question]]:
    """A row holds a document and all its questions; `evaluation` says whether they can be scored without a judge."""
    name = f"{task.name}/{number}"
    asked, outputs = texts_of(row, "instructions"), texts_of(row, "outputs")
    if len(asked) != len(outputs):
        raise ValueError(f"{len(asked)} instructions, but {len(outputs)} outputs")
    kind = "exam" if task.metric == "accuracy" else "f1"
    scorable = row.get("evaluation", kind) == kind
    questions = [
        Question(f"{name}/{place}", name, _question(text), (gold,))
        for place, (text, gold) in enumerate(zip(asked, outputs, strict=True))
        if scorable
    ]
    return name, _document(row, "input"), questions


def _question(text: str) -> str:
    """`text`, which must ask something, as a search will want it."""
    if not any(map(str.isalnum, text)):
        raise ValueError(f"the question {text!r:.40} is empty")
    return text


def _document(row: dict[str, Any], name: str) -> str:
    text = text_of(row, name)
    if not text.strip():
        raise ValueError(f"{name} is empty: there is nothing to read")
    return text
