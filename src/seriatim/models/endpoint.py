"""Models behind any OpenAI-compatible address: vLLM, SGLang, llama.cpp, Ollama, or a hosted service.

Sources: https://platform.openai.com/docs/api-reference/chat, https://docs.vllm.ai (prefixes, reasoning),
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seriatim.errors import ModelError
from seriatim.models.generator import Message, Piece, Usage
from seriatim.models.openai_api import Api
from seriatim.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    import numpy as np

DEFAULT_CONTEXT_TOKENS = 32_768
EMBEDDING_BATCH = 64

_OPENAI = "https://api.openai.com"  # which no longer takes `max_tokens`
# Servers that go on with a trailing assistant message when they are told to.
_TOLD_TO_CONTINUE = frozenset({"vllm", "sglang"})


class Endpoint:
    """A `Generator` behind an OpenAI-compatible address.

    `base_url` is the server's address, with its `/v1` or without. `model` may be left out where the server has one
    only. The key is `api_key`, else `SERIATIM_API_KEY`, else `OPENAI_API_KEY`; it is never sent over plain http to
    another machine. `timeout_s` limits the silence before and between pieces. `retries` counts the further attempts
    while the server is busy, broken or not reached; there are none once text has come.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        *,
        api_key: str | None = None,
        context_tokens: int | None = None,
        timeout_s: float = 300.0,
        retries: int = 2,
    ) -> None:
        self._api = Api(base_url, api_key=api_key, timeout_s=timeout_s, retries=retries)
        self._asked_model = model
        self._asked_context = context_tokens

    @property
    def name(self) -> str:
        return str(self._served["id"])

    @property
    def context_tokens(self) -> int:
        """As asked for, else as the server states it, else 32768."""
        stated = self._served.get("max_model_len")
        return self._asked_context or (stated if isinstance(stated, int) else None) or DEFAULT_CONTEXT_TOKENS

    @property
    def span_tokens(self) -> int:
        return self.context_tokens

    def count_tokens(self, text: str) -> int:
        """An upper estimate, `estimate_tokens`: the tokenizer is out of reach."""
        return estimate_tokens(text)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Piece]:
        """See `Generator.stream`. Servers that cannot go on with `prefix` begin anew; their repetition is left out."""
        request = self._request(messages, prefix, stop, max_tokens, sampling)
        pieces = self._pieces(request, sum(estimate_tokens(message.content) for message in messages))
        return without_echo(pieces, prefix) if prefix else pieces

    def interrupt(self) -> None:
        """Hang up on the generation that runs, if one does: its iterator raises `ModelError` at once, also where the
        server is silent, and asks no further time. Any thread may call."""
        self._api.hang_up()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    @cached_property
    def _served(self) -> Mapping[str, Any]:
        return self._api.served(self._asked_model)

    def _request(
        self, messages: Sequence[Message], prefix: str, stop: Sequence[str], max_tokens: int, sampling: Sampling
    ) -> dict[str, Any]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        request: dict[str, Any] = {
            "model": self.name,
            "messages": [*turns, {"role": "assistant", "content": prefix}] if prefix else turns,
            "max_completion_tokens" if self._api.shown == _OPENAI else "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        # Sent only where they say something, since strict servers refuse parameters that they do not know.
        if stop:
            request["stop"] = list(stop)
        if sampling.temperature:
            request |= {"top_p": sampling.top_p, "seed": sampling.seed}
        beyond = {"top_k": sampling.top_k, "min_p": sampling.min_p}
        request |= {name: value for name, value in beyond.items() if value}
        if sampling.repeat_penalty != 1.0 and self._api.shown != _OPENAI:
            request |= {"repetition_penalty": sampling.repeat_penalty, "repeat_penalty": sampling.repeat_penalty}
        if prefix and self._served.get("owned_by") in _TOLD_TO_CONTINUE:
            request |= {"continue_final_message": True, "add_generation_prompt": False}
        return request

    def _pieces(self, request: dict[str, Any], prompt_estimate: int) -> Iterator[Piece]:
        began = time.monotonic()
        first: float | None = None
        written = 0
        finish: str | None = None
        usage: Mapping[str, Any] = {}
        for event in self._api.events("chat/completions", request, self.name):
            try:
                pieces, ended, told = _parts(event)
            except (AttributeError, TypeError) as error:
                raise ModelError(
                    f"{self._api.shown} sent an event of another kind: is it OpenAI-compatible?"
                ) from error
            finish, usage = ended or finish, told or usage
            for piece in pieces:
                first = first or time.monotonic()
                written += estimate_tokens(piece.text)
                yield piece
        if finish is None:
            raise ModelError(f"{self._api.shown} broke off before its answer was finished: ask again")
        if finish == "content_filter":
            raise ModelError(f"{self._api.shown} withheld the answer (its content filter): ask differently")
        last = time.monotonic()
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        yield Piece(
            finish_reason="length" if finish == "length" else "stop",
            usage=Usage(
                prompt_tokens=usage.get("prompt_tokens") or prompt_estimate,
                completion_tokens=usage.get("completion_tokens") or written,
                cached_tokens=cached or 0,
                prefill_s=(first or last) - began,
                decode_s=last - (first or last),
            ),
        )


def embed_texts(
    base_url: str,
    model: str | None,
    texts: Sequence[str],
    *,
    api_key: str | None = None,
    timeout_s: float = 120.0,
    retries: int = 2,
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Unit vectors [n, d] of n texts, from an address's `/v1/embeddings`. Raises `ModelError`."""
    import numpy as np

    if not texts:
        return np.zeros((0, 0), dtype=np.float32)
    api = Api(base_url, api_key=api_key, timeout_s=timeout_s, retries=retries)
    with closing(api):
        name = model or str(api.served(None)["id"])
        rows: list[Any] = []
        for start in range(0, len(texts), EMBEDDING_BATCH):
            batch = list(texts[start : start + EMBEDDING_BATCH])
            rows += _embeddings(api.ask("embeddings", {"model": name, "input": batch}, name), len(batch), api.shown)
    try:
        vectors = np.asarray(rows, dtype=np.float32)
    except (ValueError, TypeError):
        vectors = np.zeros(0, dtype=np.float32)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ModelError(f"{api.shown} sent embeddings that are not vectors of one length: check the model {name}")
    unit: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def without_echo(pieces: Iterator[Piece], prefix: str) -> Iterator[Piece]:
    """Leave `prefix` out where a server, instead of going on after it, repeats it first."""
    held = ""
    deciding = True
    for piece in pieces:
        if piece.reasoning or not deciding:
            yield piece
            continue
        held += piece.text
        if piece.finish_reason is None and len(held) < len(prefix) and prefix.startswith(held):
            continue
        deciding = False
        rest = held.removeprefix(prefix)
        if piece.finish_reason is not None:
            yield Piece(rest, finish_reason=piece.finish_reason, usage=piece.usage)
        elif rest:
            yield Piece(rest)


_WORDS = re.compile(r"[A-Za-z]+|\d|[^\S\n]{2,}|\n+|[^\w\s]|[^\x00-\x7f]")


def estimate_tokens(text: str) -> int:
    """An upper estimate of the tokens in `text`, for models whose tokenizer is out of reach.

    Measured on books, papers, contracts, code and JSON: 1.1 to 1.5 times the most that OLMoE, SmolLM2 and Qwen2.5 make
    of English; as much as twice for other scripts, which tokenizers differ on.
    """
    total = 0
    for match in _WORDS.finditer(text):
        word = match.group()
        if not word.isascii():
            total += len(word.encode())
        else:
            total += 1 + max(0, len(word) - 4) // 2 if word.isalpha() else 1
    return total


def _parts(event: Mapping[str, Any]) -> tuple[list[Piece], str | None, Mapping[str, Any]]:
    """The pieces in an event, why the answer ended (where it did), and its usage (where it is told)."""
    pieces: list[Piece] = []
    finish = None
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            pieces.append(Piece(reasoning, reasoning=True))
        if delta.get("content"):
            pieces.append(Piece(str(delta["content"])))
        finish = choice.get("finish_reason") or finish
    return pieces, finish, {**(event.get("usage") or {})}


def _embeddings(answer: Any, expected: int, shown: str) -> list[Any]:
    try:
        rows = [row["embedding"] for row in sorted(answer["data"], key=lambda row: int(row.get("index", 0)))]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{shown} sent embeddings that cannot be read: is it OpenAI-compatible?") from error
    if len(rows) != expected:
        raise ModelError(f"{shown} sent {len(rows)} embeddings for {expected} texts")
    return rows
