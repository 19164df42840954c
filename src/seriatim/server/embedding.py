"""Texts to vectors for other programs, by the embedders that libraries use."""

import asyncio
import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import numpy as np
from numpy.typing import NDArray

from seriatim.documents.tokens import token_ids
from seriatim.errors import UsageError
from seriatim.models.catalog import MODELS
from seriatim.retrieval import embedders, static
from seriatim.retrieval.embedders import Embedder
from seriatim.server.errors import Busy, ClientGone, NotFound

_MOST_WAITING = 32
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit vectors [n, d]."""

    rows: NDArray[np.float32]

    def numbers(self, index: int) -> list[float]:
        """A vector as JSON carries it."""
        numbers: list[float] = self.rows[index].tolist()
        return numbers

    def encoded(self, index: int) -> str:
        """A vector as OpenAI's clients like it: little-endian float32 in base64."""
        return base64.b64encode(self.rows[index].astype("<f4").tobytes()).decode()


class Embeddings:
    """One embedder is open at a time, in a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._open: Embedder | None = None
        self._waiting = 0

    async def embed(self, name: str, texts: Sequence[str], dimensions: int | None) -> tuple[Vectors, int]:
        """The vectors of texts, and how many tokens these have. Where nobody awaits them any more, what is left undone
        stays so. Raises `NotFound`, `UsageError` and `Busy`."""
        model = MODELS.get(name)
        if name != "static" and (model is None or model.kind != "embedder"):
            known = [each.name for each in MODELS.values() if each.kind == "embedder"]
            raise NotFound(f"there is no embedder {name[:80]!r}; take one of static, {', '.join(known)}")
        if model is not None and not model.fetched:
            raise NotFound(f"the embedder {name} is not here yet; fetch it with: seriatim model pull {name}")
        if self._waiting >= _MOST_WAITING:
            raise Busy("too many texts wait to be embedded; try again in a moment")
        self._waiting += 1
        gone = Event()
        try:
            rows, tokens = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._embed, name, texts, gone
            )
        finally:
            gone.set()
            self._waiting -= 1
        if dimensions not in (None, rows.shape[1]):
            raise UsageError(f"{name} makes vectors of {rows.shape[1]} dimensions; leave `dimensions` out")
        return Vectors(rows), tokens

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _embed(self, name: str, texts: Sequence[str], gone: Event) -> tuple[NDArray[np.float32], int]:
        embed = static.embed if name == "static" else self._opened(name).embed_passages
        rows, tokens = [], 0
        for start in range(0, len(texts), _AT_ONCE):
            if gone.is_set():
                raise ClientGone("the client is gone")
            some = texts[start : start + _AT_ONCE]
            rows.append(embed(some))
            tokens += sum(map(len, token_ids(some)))
        return np.concatenate(rows), tokens

    def _opened(self, name: str) -> Embedder:
        if self._open is None or self._open.name != name:
            self._open = embedders.open_embedder(name)
        return self._open
