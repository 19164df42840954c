"""GGUF models, run by llama.cpp inside this process.

`xllamacpp` carries llama.cpp's own server as a library. The server speaks HTTP; here it listens on a socket file in a
folder that only this user can open, so no network port is opened. Speaking HTTP to it, rather than taking its
callbacks, keeps generation free of threads: the iterator reads an answer line by line, and closing it hangs up, which
is how llama.cpp is told to stop.
"""

import ctypes
import json
import os
import shutil
import signal
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seriatim import machine
from seriatim.errors import ModelError
from seriatim.models import gguf
from seriatim.models.generator import Message, Piece, Usage, single_tokens, span_tokens
from seriatim.models.transport import Lines, event_lines
from seriatim.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    import httpx
    import numpy as np

DEFAULT_CONTEXT_TOKENS = 8192
"""Enough for a good many passages, while the key-value cache stays modest."""

EMBEDDING_CONTEXT_TOKENS = 2048

# llama.cpp looks for a cancelled request between two batches of the prompt. On two cores a batch of 256 tokens of a
# 1.5B model takes four seconds; the library's 2048 take half a minute, and read the prompt only 4% faster.
_BATCH_TOKENS = 256
_SEEDS = (1 << 32) - 1  # llama.cpp knows so many, and takes the next number for "any"
# Threads wait for each other some hundred times a token. By default they spin for milliseconds, and where other
# programs use the cores too, the one that is waited for does not run meanwhile: two write a fifth of what one does.
# So many spins cost no speed where the cores are free; a thousand cost 7%, and gain nothing more where they are busy.
_SPINS = "30000"
_LIKELY, _ALL = 256, 1 << 20  # of the next token, how many probabilities are asked for at first, and in the end
_CACHE_MIB = 1024  # of prompts put aside: the review of a draft reads another one, and then the long one goes on


class LlamaCpp:
    """A `Generator` for a GGUF file, on this machine's processor (or GPU, with a GPU build of `xllamacpp`).

    `context_tokens` defaults to 8192 and is never more than what the model was trained for; `threads` defaults to
    `OMP_NUM_THREADS`, else to the cores this process may use. The prompt is laid out by the chat template inside the
    file. What the previous prompt had in common with this one is not read again.
    """

    def __init__(self, path: str | Path, *, context_tokens: int | None = None, threads: int | None = None) -> None:
        info = gguf.inspect(path)
        self._name = Path(path).stem
        trained = info.context_tokens or DEFAULT_CONTEXT_TOKENS
        self._context_tokens = min(trained, context_tokens or DEFAULT_CONTEXT_TOKENS)
        self._span_tokens = span_tokens(info.parameters, self._context_tokens)
        self._server = _Server(info, context_tokens=self._context_tokens, threads=threads)

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    @property
    def span_tokens(self) -> int:
        return self._span_tokens

    def count_tokens(self, text: str) -> int:
        """Exactly how many tokens the model makes of `text`."""
        return len(self._server.tokenize(text))

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Piece]:
        """See `Generator.stream`. At temperature 0 the same prompt, read in the same steps, gives the same text."""
        prompt = self._prompt(messages, prefix)
        if len(prompt) >= self._context_tokens:
            raise ModelError(
                f"the prompt has {len(prompt)} tokens, but {self._name} holds {self._context_tokens} for prompt and "
                "answer together: give it fewer passages, or a larger context"
            )
        return self._generate(
            {
                "prompt": prompt,
                "stop": [text for text in stop if text],
                "n_predict": max_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
                "min_p": sampling.min_p,
                "repeat_penalty": sampling.repeat_penalty,
                "seed": sampling.seed % _SEEDS,
                "cache_prompt": True,
                "stream": True,
            }
        )

    def next_token_logprobs(self, text: str, continuations: Sequence[str]) -> list[float]:
        """See `Scorer.next_token_logprobs`."""
        tokens = self._server.tokenize(text, start=True)
        wanted = single_tokens(lambda each: self._server.tokenize(each, start=True), text, continuations)
        if len(tokens) >= self._context_tokens:
            raise ModelError(f"the text has {len(tokens)} tokens, and {self._name} holds {self._context_tokens}")
        for most in (_LIKELY, _ALL):
            request = {"prompt": tokens, "n_predict": 1, "temperature": 0.0, "n_probs": most, "cache_prompt": True}
            told = self._server.post("/completion", request)["completion_probabilities"][0]["top_logprobs"]
            logprobs = {each["id"]: float(each["logprob"]) for each in told}
            if all(id in logprobs for id in wanted):
                return [logprobs[id] for id in wanted]
        raise ModelError(f"{self._name} does not tell the probability of every one of {', '.join(continuations)}")

    def interrupt(self) -> None:
        """Hang up on the generation that runs, if one does: its iterator raises `ModelError` at once, also where it
        waits for the prompt to be read. Any thread may call."""
        self._server.hang_up()

    def close(self) -> None:
        """Free the model's memory."""
        self._server.close()

    def _generate(self, request: dict[str, Any]) -> Iterator[Piece]:
        for event in self._server.events("/completion", request):
            if event["stop"]:
                yield _last_piece(event)
                return
            if event["content"]:
                yield Piece(event["content"])
        raise ModelError(f"{self._name} broke off before its answer was finished: ask again")

    def _prompt(self, messages: Sequence[Message], prefix: str) -> list[int]:
        """The prompt's tokens.

        A document may contain the very words that mark a turn (`<|im_start|>system`), and the model would obey them
        as if the person had spoken; so may what it wrote itself, quoting the document, which the prefix holds. Where
        a text holds such words, it is therefore turned into tokens apart from the template's, as ordinary text.
        """
        forged = any(
            self._server.tokenize(text, special=True) != self._server.tokenize(text)
            for text in [*(message.content for message in messages), prefix]
        )
        if not forged:
            return self._server.tokenize(self._lay_out(messages) + prefix, start=True, special=True)
        marks = [f"text{number}of{os.urandom(8).hex()}" for number in range(len(messages))]
        rest = self._lay_out([Message(m.role, mark) for m, mark in zip(messages, marks, strict=True)])
        tokens: list[int] = []
        for message, mark in zip(messages, marks, strict=True):
            before, found, rest = rest.partition(mark)
            if not found:
                raise ModelError(f"the chat template of {self._name} leaves out a {message.role} message")
            tokens += self._server.tokenize(before, start=not tokens, special=True)
            tokens += self._server.tokenize(message.content)
        return tokens + self._server.tokenize(rest, special=True) + self._server.tokenize(prefix)

    def _lay_out(self, messages: Sequence[Message]) -> str:
        request = {"messages": [{"role": message.role, "content": message.content} for message in messages]}
        return str(self._server.post("/apply-template", request)["prompt"])


class LlamaCppEmbedder:
    """Vectors from any GGUF model. Pooling is what the file states, else the mean over the tokens."""

    def __init__(self, path: str | Path, *, context_tokens: int | None = None, threads: int | None = None) -> None:
        info = gguf.inspect(path)
        self.name = Path(path).stem
        self.context_tokens = context_tokens or min(
            info.context_tokens or EMBEDDING_CONTEXT_TOKENS, EMBEDDING_CONTEXT_TOKENS
        )
        self._server = _Server(info, context_tokens=self.context_tokens, threads=threads, embedding=True)

    def embed(self, texts: Sequence[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
        """Unit vectors [n, d] of n texts. A text longer than `context_tokens` is cut."""
        import numpy as np

        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        answer = self._server.post("/v1/embeddings", {"input": [self._cut(text) for text in texts]})
        rows = sorted(answer["data"], key=lambda row: int(row["index"]))
        vectors = np.asarray([row["embedding"] for row in rows], dtype=np.float32)
        unit: np.ndarray[tuple[int, int], np.dtype[np.float32]] = vectors / np.maximum(
            np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12
        )
        return unit

    def close(self) -> None:
        """Free the model's memory."""
        self._server.close()

    def _cut(self, text: str) -> list[int]:
        tokens = self._server.tokenize(text, start=True)
        # The last token closes the text for models of the BERT family, so it is kept.
        return tokens if len(tokens) <= self.context_tokens else tokens[: self.context_tokens - 1] + tokens[-1:]


def _last_piece(event: dict[str, Any]) -> Piece:
    timings = event["timings"]
    usage = Usage(
        prompt_tokens=timings["cache_n"] + timings["prompt_n"],
        completion_tokens=timings["predicted_n"],
        cached_tokens=timings["cache_n"],
        prefill_s=timings["prompt_ms"] / 1000,
        decode_s=timings["predicted_ms"] / 1000,
    )
    return Piece(event["content"], finish_reason="length" if event["stop_type"] == "limit" else "stop", usage=usage)


class _Server:
    """llama.cpp's server with one model in it, and the line to it."""

    def __init__(
        self, info: gguf.GgufInfo, *, context_tokens: int, threads: int | None, embedding: bool = False
    ) -> None:
        import httpx

        xllamacpp = _llama_cpp()
        self._name = info.path.name
        folder = _private_folder()
        socket = os.path.join(folder, "llama")
        params = xllamacpp.CommonParams()
        params.model.path = str(info.path)
        params.n_ctx = context_tokens
        params.n_batch = params.n_ubatch = context_tokens if embedding else _BATCH_TOKENS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or machine.threads()
        params.n_parallel = 1
        params.cache_ram_mib = 0 if embedding else _CACHE_MIB
        params.warmup = False
        params.ui = False
        params.verbosity = -1
        params.hostnames = [socket + ".sock"]  # llama.cpp takes a host name with this ending for a socket file
        params.embedding = embedding
        if embedding and info.pooling is None:
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        # A connection for each request: the server may close an idle one just as the next request goes out on it.
        transport = httpx.HTTPTransport(uds=socket + ".sock", limits=httpx.Limits(max_keepalive_connections=0))
        client = httpx.Client(transport=transport, base_url="http://llama.cpp", timeout=httpx.Timeout(None))
        server: list[Any] = []

        def end() -> None:
            client.close()
            server.clear()
            shutil.rmtree(folder, ignore_errors=True)

        try:
            with _interrupts_later(), _signals_kept():
                server.append(xllamacpp.Server(params))
                # A server that is ended before its loop runs waits for ever; this answer comes from the loop.
                client.get("/lora-adapters")
        except RuntimeError as error:
            end()
            raise ModelError(
                f"llama.cpp cannot load {info.path} (architecture {info.architecture}): a newer xllamacpp may know "
                "it; otherwise the file is damaged, or memory is short"
            ) from error
        except BaseException:
            end()
            raise
        self._client = client
        self._lines = Lines()
        self.close: Callable[[], Any] = weakref.finalize(self, end)  # also when forgotten, and at exit

    def tokenize(self, text: str, *, start: bool = False, special: bool = False) -> list[int]:
        """Tokens of a text; `start` adds what begins a prompt, `special` knows the words that mark turns."""
        request = {"content": text, "add_special": start, "parse_special": special}
        tokens: list[int] = self.post("/tokenize", request)["tokens"]
        return tokens

    def post(self, path: str, request: dict[str, Any]) -> Any:
        import httpx

        try:
            response = self._client.post(path, json=request)
        except httpx.TransportError as error:
            raise ModelError(f"{self._name} stopped running: load it again") from error
        if response.status_code != 200:
            raise self._failure(response)
        return response.json()

    def events(self, path: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of a streamed answer. Closing the iterator hangs up."""
        import httpx

        traced = {"trace": self._lines.trace}
        self._lines.hung_up.clear()
        try:
            with self._client.stream("POST", path, json=request, extensions=traced) as response:
                if response.status_code != 200:
                    response.read()
                    raise self._failure(response)
                for line in event_lines(response):
                    if line.startswith("data: {"):
                        event = json.loads(line.removeprefix("data: "))
                        if "error" in event:
                            raise ModelError(f"{self._name} failed: {event['error'].get('message', event['error'])}")
                        yield event
        except httpx.TransportError as error:
            raise ModelError(f"{self._name} stopped running: load it again") from error

    def hang_up(self) -> None:
        """End every answer that is being streamed; a reader that waits for it wakes up."""
        self._lines.hang_up()

    def _failure(self, response: "httpx.Response") -> ModelError:
        try:
            reason = str(response.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            reason = f"HTTP {response.status_code}"
        return ModelError(f"{self._name} failed: {reason}")


def _llama_cpp() -> Any:
    """The module, whose threads spin for a short time only, unless the environment says how they wait."""
    chosen = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    if not chosen:
        os.environ["GOMP_SPINCOUNT"] = _SPINS  # read once, when the library is loaded
    try:
        import xllamacpp
    finally:
        if not chosen:
            del os.environ["GOMP_SPINCOUNT"]
    return xllamacpp


def _private_folder() -> str:
    """A folder that only this user can open, with a path short enough for a socket (108 bytes)."""
    folder = tempfile.mkdtemp(prefix="seriatim-")
    if len(os.fsencode(folder)) <= 80:
        return folder
    os.rmdir(folder)
    return tempfile.mkdtemp(prefix="seriatim-", dir="/tmp")


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Let Ctrl-C wait until the block is through."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread alone
        return
    came: list[int] = []
    answer = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, answer)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep Python's answers to Ctrl-C and to termination; llama.cpp's server puts its own in their place."""
    sigaction = ctypes.CDLL(None).sigaction
    kept = {number: ctypes.create_string_buffer(512) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, action in kept.items():
        sigaction(int(number), None, action)
    try:
        yield
    finally:
        for number, action in kept.items():
            sigaction(int(number), action, None)
