"""OLMoE checkpoints, run by Seriatim's own engine inside this process.

What a prompt has in common with one of the last two is not read again: a second question about the same passages, and
each phase of the reflection protocol, begins to write at once.
"""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from seriatim import olmoe
from seriatim.errors import ModelError
from seriatim.machine import cores
from seriatim.models.generator import Message, Piece, Usage, single_tokens, span_tokens
from seriatim.models.prefixes import Prefixes
from seriatim.models.stopping import StopText
from seriatim.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from seriatim.olmoe.loading import Dtype


class NativeOlmoe:
    """A `Generator` for the folder of an OLMoE checkpoint, or of an int8 model made from one.

    `dtype` "int8" is packed beside Seriatim's other files the first time, which takes a while and is told to `progress`
    (layers done, layers in all); "float32" is the reference, four times as large and slower. The context is what the
    model was trained for. Raises `ModelError` for a folder that holds no such model, and where PyTorch is missing.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        dtype: "Dtype" = "int8",
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        folder = Path(folder).expanduser()
        start_torch()
        self._model = olmoe.load(folder, dtype, progress=progress)
        self._tokenizer = olmoe.Tokenizer.from_folder(folder)
        config = self._model.config
        self._name = folder.resolve().name
        self._span_tokens = span_tokens(config.total_parameters, config.max_position_embeddings)
        self._turn = RLock()
        self._prefixes = Prefixes(lambda capacity: self._model.new_cache(1, capacity), config.max_position_embeddings)

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_tokens(self) -> int:
        return self._model.config.max_position_embeddings

    @property
    def span_tokens(self) -> int:
        return self._span_tokens

    def count_tokens(self, text: str) -> int:
        """Exactly how many tokens the model makes of `text`."""
        return len(self._tokenizer.encode(text))

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Piece]:
        """See `Generator.stream`. Pieces without text come while the prompt is read, so that it can be cancelled."""
        prompt = self._tokenizer.chat(messages, prefix)
        room = self.context_tokens - len(prompt)
        if room <= 0:
            raise ModelError(
                f"the prompt has {len(prompt)} tokens, but {self._name} holds {self.context_tokens} for prompt and "
                "answer together: give it fewer passages, or take a model with a longer context"
            )
        return self._by_turns(self._generate(prompt, StopText(stop), min(max_tokens, room), sampling))

    def next_token_logprobs(self, text: str, continuations: Sequence[str]) -> list[float]:
        """See `Scorer.next_token_logprobs`."""
        import torch

        ids = self._tokenizer.encode(text)
        if not 0 < len(ids) <= self.context_tokens:
            raise ModelError(f"the text has {len(ids)} tokens, and {self._name} holds 1 to {self.context_tokens}")
        wanted = single_tokens(self._tokenizer.encode, text, continuations)
        with self._turn:
            read = self._prefixes.take(ids, len(ids))
            try:
                rest = ids[len(read.ids) :]
                logits_BV = self._model.read(torch.tensor([rest]), read.cache)
                read.ids += rest
            finally:
                self._prefixes.give_back(read)
        logprobs: list[float] = torch.log_softmax(logits_BV[0].double(), dim=-1)[wanted].tolist()
        return logprobs

    def close(self) -> None:
        """Free the model's memory."""
        self._prefixes.clear()
        del self._model

    def _by_turns(self, pieces: Generator[Piece]) -> Iterator[Piece]:
        """`pieces`, each made while no other stream makes one: all threads share what the model computes in."""
        try:
            while True:
                with self._turn:
                    piece = next(pieces, None)
                if piece is None:
                    return
                yield piece
        finally:
            with self._turn:
                pieces.close()

    def _generate(self, prompt: list[int], stopping: StopText, most: int, sampling: Sampling) -> Generator[Piece]:
        import torch

        from seriatim.olmoe import generation
        from seriatim.olmoe.interface import PREFILL_BLOCK

        read = self._prefixes.take(prompt, len(prompt) + most)
        cached, prefill_s, decode_s = len(read.ids), 0.0, 0.0
        written, ended = 0, False
        try:
            for start in range(cached, len(prompt), PREFILL_BLOCK):
                block = prompt[start : start + PREFILL_BLOCK]
                began = time.perf_counter()
                logits_BV = self._model.read(torch.tensor([block]), read.cache)
                prefill_s += time.perf_counter() - began
                read.ids += block
                yield Piece()
            steps = generation.stream(self._model, logits_BV, read.cache, [read.ids], sampling)
            text = self._tokenizer.stream()
            while written < most and not ended:
                began = time.perf_counter()
                (token,) = next(steps)
                decode_s += time.perf_counter() - began
                written += 1
                ended = token.id == self._model.config.eos_token_id
                shown = "" if ended else stopping.feed(text.feed(token.id))
                ended = ended or stopping.stopped
                if shown:
                    yield Piece(shown)
        finally:
            self._prefixes.give_back(read)
        rest = "" if stopping.stopped else stopping.feed(text.close()) + stopping.close()
        usage = Usage(len(prompt), written, cached, prefill_s, decode_s)
        yield Piece(rest, finish_reason="stop" if ended or stopping.stopped else "length", usage=usage)


def start_torch() -> None:
    """Import PyTorch, with a thread for each core that this process may use, hyperthreads too.

    A program that has imported it already, or has set `OMP_NUM_THREADS`, keeps the threads that it has chosen. Raises
    `ModelError` where PyTorch, which the light install leaves out, is missing.
    """
    chosen = "torch" in sys.modules or "OMP_NUM_THREADS" in os.environ
    if find_spec("torch") is None:
        raise ModelError("OLMoE checkpoints are run by PyTorch, which is not installed: pip install 'seriatim[olmoe]'")
    import torch

    if not chosen:
        torch.set_num_threads(cores())
