"""What a reader says to a prompt, asked once and kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seriatim.evaluation import cache
from seriatim.models.generator import Generator, Message
from seriatim.sampling import GREEDY, Sampling


@dataclass(frozen=True, slots=True)
class Reader:
    """A model, and what tells it from every other one (`runs.reader_identity`)."""

    generator: Generator
    identity: str


def generation(
    reader: Reader,
    messages: Sequence[Message],
    max_tokens: int,
    *,
    prefix: str = "",
    stop: Sequence[str] = (),
    sampling: Sampling = GREEDY,
) -> tuple[dict[str, Any], bool]:
    """The reader's `prediction` with its tokens and seconds and `truncated` (it met the limit of tokens), and whether
    all that was kept from an earlier time. Arguments as `Generator.stream` takes them."""
    asked: dict[str, Any] = {
        "reader": reader.identity, "name": reader.generator.name, "messages": [asdict(each) for each in messages],
        "max_tokens": max_tokens, "sampling": asdict(sampling),
    }  # fmt: skip
    if prefix or stop:
        asked |= {"prefix": prefix, "stop": list(stop)}
    key = cache.key_of(asked)
    if kept := cache.kept(key):
        return kept, True
    pieces = list(reader.generator.stream(messages, prefix=prefix, stop=stop, max_tokens=max_tokens, sampling=sampling))
    usage = pieces[-1].usage
    made = {
        "prediction": "".join(piece.text for piece in pieces if not piece.reasoning),
        "truncated": pieces[-1].finish_reason == "length",
        "prompt_tokens": usage and usage.prompt_tokens, "completion_tokens": usage and usage.completion_tokens,
        "prefill_s": usage and usage.prefill_s, "generate_s": usage and usage.decode_s,
    }  # fmt: skip
    cache.keep(key, made)
    return made, False
