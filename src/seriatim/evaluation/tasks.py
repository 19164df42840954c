"""The tasks: what each asks, in which words, how it is scored, and where its data is.

A task is a line of `TASKS`; ∞Bench's and L-Eval's JSONL forms are read in `datasets`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from seriatim.errors import UsageError
from seriatim.evaluation import choices, metrics
from seriatim.models.generator import Message

Score = Callable[[str, Sequence[str]], float]
Metric = Literal["f1", "accuracy"]

# What readers are told; a run records it, so a change of words is a change of version.
PROMPT_VERSION = 1
SYSTEM = "You are a helpful assistant"
_READ_AND_ANSWER = "Read the book below and answer a question.\n\n{context}\n\nQuestion: {question}\n\nBe very concise."
_READ_AND_CHOOSE = (
    "Read the book and answer the question.\n\n{context}\n\nQuestion: {question}\n\nOnly one of the following options "
    "is correct, tell me the answer using one single letter (A, B, C, or D). Don't say anything else.\n{options}"
)
# L-Eval's questions bring their options along.
_CHOOSE_ONE = (
    "Read the book and answer the question.\n\n{context}\n\nQuestion: {question}\n\nOnly one of the options is "
    "correct, tell me the answer using one single letter (A, B, C, or D). Don't say anything else."
)
_CHOOSE_SEVERAL = (
    "Read the book and answer the question.\n\n{context}\n\nQuestion: {question}\n\nOne or several of the options are "
    "correct, tell me the answer using their letters alone (like A or AB). Don't say anything else."
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one document. `references` are the right answers (of a choice of `options`: its text, then its
    letter; of L-Eval's choices: what begins with the letters). `stitched` is the joined document that it is asked over,
    where its own is part of one."""

    id: str
    document: str
    text: str
    references: tuple[str, ...]
    options: tuple[str, ...] = ()
    stitched: str | None = None

    @property
    def over(self) -> str:
        """The name of the document that is searched for the answer."""
        return self.stitched or self.document


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked, and how answers are scored: `score` as the benchmark does, `strict` without its leniency."""

    name: str
    about: str
    form: Literal["infinitebench", "leval"]
    file: str
    metric: Metric
    prompt: str
    score: Score
    strict: Score
    max_tokens: int = 40

    def messages(self, question: Question, context: str) -> list[Message]:
        """The conversation that puts `question` to a reader, over `context` (empty: closed book)."""
        options = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", question.options, strict=False))
        asked = self.prompt.format(context=context, question=question.text, options=options)
        return [Message("system", SYSTEM), Message("user", asked)]


def find_task(name: str) -> Task:
    """The task called `name`. Raises `UsageError` for an unknown one."""
    if name not in TASKS:
        raise UsageError(f"there is no task {name!r}: take one of {', '.join(TASKS)} (see: seriatim eval list)")
    return TASKS[name]


def _f1(prediction: str, references: Sequence[str]) -> float:
    return metrics.f1(prediction, references)


def _exact(prediction: str, references: Sequence[str]) -> float:
    return float(metrics.exact_match(prediction, references))


def _strict_letters(prediction: str, references: Sequence[str]) -> float:
    return float(choices.strict_letters(prediction, choices.leval_gold(references[0])))


def _answering(name: str, form: Literal["infinitebench", "leval"], file: str, about: str) -> Task:
    return Task(name, about, form, file, "f1", _READ_AND_ANSWER, _f1, _exact)


def _choosing(name: str, about: str) -> Task:
    return Task(
        name, about, "leval", f"{name}.jsonl", "accuracy", _CHOOSE_ONE,
        lambda prediction, gold: choices.leval_choice(prediction, choices.leval_gold(gold[0])),
        _strict_letters,
    )  # fmt: skip


TASKS = {
    task.name: task
    for task in (
        _answering(
            "en_qa", "infinitebench", "longbook_qa_eng.jsonl",
            "∞Bench En.QA: 351 questions about novels of about 190,000 tokens whose names were changed",
        ),
        Task(
            "en_mc", "∞Bench En.MC: 229 questions about novels, four options each",
            "infinitebench", "longbook_choice_eng.jsonl", "accuracy", _READ_AND_CHOOSE,
            lambda prediction, label: float(choices.infinitebench_choice(prediction, label)),
            lambda prediction, label: float(choices.strict_choice(prediction, label)),
        ),
        _choosing("quality", "L-Eval QuALITY: stories of about 4,200 words, one letter of four"),
        _choosing("tpo", "L-Eval TPO: lectures of about 3,000 words, one letter of four"),
        Task(
            "coursera", "L-Eval Coursera: lectures of about 7,000 words; several letters may be right, some of them "
            "alone count 0.25",
            "leval", "coursera.jsonl", "accuracy", _CHOOSE_SEVERAL,
            lambda prediction, gold: choices.leval_choices(prediction, choices.leval_gold(gold[0])),
            _strict_letters,
        ),
        _answering(
            "natural_question", "leval", "natural_question.jsonl",
            "L-Eval Natural Questions: encyclopaedia articles of about 13,000 words, short answers",
        ),
        _answering(
            "legal_contract_qa", "leval", "legal_contract_qa.jsonl",
            "L-Eval CUAD: contracts of about 18,000 words, the clause that answers",
        ),
        _answering(
            "multidoc_qa", "leval", "multidoc_qa.jsonl",
            "L-Eval MultiDoc2Dial: several pages of an office, about 2,800 words, a sentence",
        ),
        _answering(
            "scientific_qa", "leval", "scientific_qa.jsonl",
            "L-Eval Qasper: papers of about 3,200 words, a short phrase",
        ),
    )
}  # fmt: skip
