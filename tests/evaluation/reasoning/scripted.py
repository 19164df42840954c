"""A reader that plays given texts, and keeps what it was asked."""

from collections.abc import Iterator, Sequence
from typing import Any

from seriatim.evaluation.generation import Reader
from seriatim.models.generator import Message, Piece, Usage
from seriatim.sampling import GREEDY, Sampling

GSM8K = [
    {"question": "Tom has 3 apples and buys 4. How many has he?", "answer": "3 + 4 = <<3+4=7>>7 apples.\n#### 7"},
    {"question": "A car costs $1,200 and a bike $34. Together?", "answer": "It is <<1200+34=1234>>1,234.\n#### 1,234"},
    {"question": "Ann owes 5 and has 2. What is left?", "answer": "2-5=<<2-5=-3>>-3\n#### -3"},
]
HUMANEVAL = [
    {
        "task_id": "HumanEval/900", "entry_point": "double",
        "prompt": 'import math\n\n\ndef half(n):\n    return n // 2\n\n\ndef double(n: int) -> int:\n    """Twice n.\n'
        '    >>> double(2)\n    4\n    >>> double(0)\n    0\n    """\n',
        "test": "def check(candidate):\n    assert candidate(3) == 6\n    assert candidate(-1) == -2\n",
        "canonical_solution": "    return 2 * n\n",
    },
]  # fmt: skip
MMLU = [
    {
        "question": f"What is {n} + 1?", "subject": "elementary_mathematics",
        "choices": [str(n), str(n + 1), str(n + 2), str(n + 3)], "answer": 1, "split": split,
    }
    for split, numbers in (("dev", range(6)), ("test", range(10, 13)))
    for n in numbers
]  # fmt: skip


class Scripted:
    """Each generation is the next of `texts`, up to the first stop string or `max_tokens` words, each one a token."""

    name = "scripted"
    context_tokens = 4096
    span_tokens = 4096

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.prompts: list[str] = []
        self.systems: list[str] = []
        self.prefixes: list[str] = []
        self.samplings: list[Sampling] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Piece]:
        self.prompts.append(messages[-1].content)
        self.systems.append(messages[0].content)
        self.prefixes.append(prefix)
        self.samplings.append(sampling)
        text = self.texts.pop(0)
        ends = [text.index(each) for each in stop if each in text]
        words = (text[: min(ends)] if ends else text).split(" ")
        yield Piece(" ".join(words[:max_tokens]))
        usage = Usage(len(messages[-1].content.split()), min(len(words), max_tokens), 0, 0.5, 0.25)
        yield Piece(finish_reason="length" if len(words) > max_tokens else "stop", usage=usage)

    def close(self) -> None: ...


class Knowing(Scripted):
    """Finds each of the letters as probable as it is told."""

    def __init__(self, *logprobs: float) -> None:
        super().__init__()
        self.logprobs = list(logprobs)

    def next_token_logprobs(self, text: str, continuations: Sequence[str]) -> list[float]:
        self.prompts.append(text)
        assert list(continuations) == [" A", " B", " C", " D"]
        return self.logprobs


def reader(model: Any) -> Reader:
    return Reader(model, model.name)
