"""The server with a real model: an answer with citations, and a client that goes away while the model still reads."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from seriatim.models.llamacpp import LlamaCpp
from tests.retrieval.conftest import ORCHARD, VOYAGE
from tests.server.conftest import Served, serving

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, reader_path: Path) -> Iterator[Served]:
    model: Any = LlamaCpp(reader_path, threads=1)  # two would wait for each other on a busy machine
    with serving(tmp_path_factory.mktemp("home"), model) as served:
        served.upload(("voyage.md", VOYAGE.encode()), ("orchard.txt", ORCHARD.encode()))
        yield served


def test_an_answer_from_a_library(server: Served) -> None:
    events = server.ask(tokens=256, reflect=False)
    whole = events[-1][1]
    assert whole["answer"]
    assert whole["usage"]["completion_tokens"] > 0
    for citation in whole["citations"]:
        text = VOYAGE if citation["document"] == "voyage.md" else ORCHARD
        assert text[citation["start"] : citation["end"]] == citation["quote"]


def test_openais_client_streams_a_bare_model(server: Served) -> None:
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="none") as client:
        stream = client.chat.completions.create(
            model="talking",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert 0 < chunks[-1].usage.completion_tokens <= 12


def test_a_client_that_goes_while_the_model_reads_frees_it_within_a_second(server: Served) -> None:
    long = {"role": "user", "content": "The ship went on and on over the wide grey sea. " * 500}
    with pytest.raises(httpx.ReadTimeout):
        server.http.post("/v1/chat/completions", json={"model": "talking", "messages": [long]}, timeout=0.5)
    gone = time.monotonic()
    while server.http.get("/api/health").json()["queue"]["running"]:
        assert time.monotonic() - gone < 5
        time.sleep(0.02)
    assert time.monotonic() - gone < 1.5  # a second, and what a busy machine takes to notice
