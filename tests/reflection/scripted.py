"""A Generator that plays given texts, and keeps what it was asked: phases are tested apart from any model."""

from collections.abc import Iterator, Sequence

from seriatim.models.generator import Message, Piece, Usage
from seriatim.sampling import Sampling


class Scripted:
    """Each call of `stream` plays the next text, as far as the first stop string or `max_tokens` words.

    A review of a draft gets the next of `verdicts`, and "correct" when there is none.
    """

    name = "scripted"

    def __init__(
        self, *texts: str, verdicts: Sequence[str] = (), context_tokens: int = 8192, span_tokens: int = 8192
    ) -> None:
        self.texts = list(texts)
        self.verdicts = list(verdicts)
        self.reviews: list[str] = []
        self.context_tokens = context_tokens
        self.span_tokens = span_tokens
        self.prefixes: list[str] = []
        self.prompts: list[str] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling = Sampling(),  # noqa: B008
    ) -> Iterator[Piece]:
        if "Proposed answer:" in messages[-1].content:
            self.reviews.append(messages[-1].content)
            text = self.verdicts.pop(0) if self.verdicts else "correct"
        else:
            self.prefixes.append(prefix)
            self.prompts.append(messages[-1].content)
            text = self.texts.pop(0)
        ends = [text.index(each) for each in stop if each in text]
        text = text[: min(ends)] if ends else text
        words = text.split(" ") if text else []
        for number, word in enumerate(words[:max_tokens]):
            yield Piece(word if number == 0 else f" {word}")
        finish = "length" if len(words) > max_tokens else "stop"
        usage = Usage(prompt_tokens=100 + len(prefix), completion_tokens=min(len(words), max_tokens), prefill_s=1.0)
        yield Piece("", finish_reason=finish, usage=usage)  # type: ignore[arg-type]

    def close(self) -> None:
        pass
