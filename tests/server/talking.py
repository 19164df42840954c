"""A small deterministic model whose speed, and whose end, the test decides."""

import threading
import time
from collections.abc import Iterator, Sequence

from seriatim.models.generator import Message, Piece, Usage
from seriatim.sampling import Sampling

ANSWER = "They sold the oil at Sunder for eleven crowns a barrel."


class Talking:
    """Answers every question with `answer`, word by word, `pause_s` apart; a review says "correct".

    While `held` is clear, the first word does not come. `closed` counts the streams that were closed before their end.
    """

    name = "talking"
    context_tokens = 8192
    span_tokens = 8192

    def __init__(self, answer: str = ANSWER, *, pause_s: float = 0.0) -> None:
        self.answer, self.pause_s = answer, pause_s
        self.prompts: list[str] = []
        self.samplings: list[Sampling] = []
        self.running = 0
        self.most_running = 0
        self.closed = 0
        self.closed_at = 0.0
        self.held = threading.Event()
        self.held.set()

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
        prompt = "\n".join(message.content for message in messages)
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        words = self._words(prompt, prefix)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.held.wait(30)
            for number, word in enumerate(words[:max_tokens]):
                if self.pause_s:
                    time.sleep(self.pause_s)
                yield Piece(word if number == 0 else f" {word}")
            finish = "length" if len(words) > max_tokens else "stop"
            usage = Usage(prompt_tokens=len(prompt.split()), completion_tokens=min(len(words), max_tokens))
            yield Piece("", finish_reason=finish, usage=usage)  # type: ignore[arg-type]
        except GeneratorExit:
            self.closed += 1
            self.closed_at = time.monotonic()
            raise
        finally:
            self.running -= 1

    def close(self) -> None:
        pass

    def _words(self, prompt: str, prefix: str) -> list[str]:
        if "Proposed answer:" in prompt:
            return ["correct"]
        if prefix.endswith("Find what the passages say about"):
            return ["the", "price."]
        if "<output>" not in prefix and "<thinking>" in prefix:
            return ["Eleven", "crowns."]
        return self.answer.split()
