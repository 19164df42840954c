"""llama.cpp in float32 throughout: its cache of keys and values and its attention are in float16 unless asked."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import xllamacpp

from seriatim.models.llamacpp import _signals_kept


class Llama:
    """A GGUF file in llama.cpp's server, which `httpx` reaches by a socket file."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def post(self, path: str, request: dict[str, Any]) -> Any:
        response = self._client.post(path, json=request)
        response.raise_for_status()
        return response.json()

    def greedy(self, prompt: Sequence[int], tokens: int) -> list[int]:
        """The ids with which the model goes on after `prompt`, not stopping at the end of a text."""
        request = {"n_predict": tokens, "temperature": 0, "ignore_eos": True, "return_tokens": True}
        return self.post("/completion", {"prompt": list(prompt), **request})["tokens"]

    def logprobs(self, prompt: Sequence[int]) -> dict[int, float]:
        """The log-probabilities of the ten tokens that are likeliest after `prompt`."""
        answer = self.post("/completion", {"prompt": list(prompt), "n_predict": 1, "temperature": 0, "n_probs": 10})
        return {each["id"]: each["logprob"] for each in answer["completion_probabilities"][0]["top_logprobs"]}

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return self.post("/tokenize", {"content": text, "parse_special": special})["tokens"]


@contextmanager
def llama(path: Path) -> Iterator[Llama]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.hostnames = [f"{folder}/llama.sock"]
        params.n_ctx = 256
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.n_parallel = 1
        params.cache_ram_mib = 0
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.warmup = params.ui = False
        params.verbosity = -1
        with _signals_kept():
            server = xllamacpp.Server(params)
        transport = httpx.HTTPTransport(uds=params.hostnames[0])
        with httpx.Client(transport=transport, base_url="http://llama.cpp", timeout=60) as client:
            yield Llama(client)
        del server
