import json
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.errors import ModelError, UsageError
from seriatim.models.endpoint import Endpoint, embed_texts, estimate_tokens, without_echo
from seriatim.models.generator import Message, Piece, Usage
from seriatim.sampling import Sampling
from tests.models.chat_server import ChatServer, Script, chat_server

QUESTION = [Message("system", "Be brief."), Message("user", "What is the capital of France?")]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as served:
        yield served


def text_of(pieces: Sequence[Piece], *, reasoning: bool = False) -> str:
    return "".join(piece.text for piece in pieces if piece.reasoning == reasoning)


def test_an_answer_is_streamed_with_its_usage(server: ChatServer) -> None:
    server.says("Par", "is.", prompt_tokens=20, completion_tokens=3, prompt_tokens_details={"cached_tokens": 8})
    endpoint = Endpoint(server.url)

    pieces = list(
        endpoint.stream(QUESTION, stop=["\n"], max_tokens=9, sampling=Sampling(temperature=0.5, top_p=0.9, seed=3))
    )

    assert [piece.text for piece in pieces] == ["Par", "is.", ""]
    assert [piece.finish_reason for piece in pieces] == [None, None, "stop"]
    usage = pieces[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (20, 3, 8)
    assert usage.prefill_s > 0
    assert server.asked == [
        {
            "path": "/v1/chat/completions",
            "model": "small",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is the capital of France?"},
            ],
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 3,
            "stop": ["\n"],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def test_the_usage_is_estimated_where_none_is_told(server: ChatServer) -> None:
    server.says("Paris.", finish="length")

    last = list(Endpoint(server.url).stream(QUESTION))[-1]

    assert last.finish_reason == "length"
    assert last.usage is not None
    assert last.usage.prompt_tokens > 5
    assert last.usage.completion_tokens == 2


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_comes_apart(server: ChatServer, field: str) -> None:
    server.says({field: "It is "}, {field: "Paris."}, {"content": "Paris"})

    pieces = list(Endpoint(server.url).stream(QUESTION))

    assert text_of(pieces, reasoning=True) == "It is Paris."
    assert text_of(pieces) == "Paris"


def test_unusual_sampling_is_sent_when_asked_for(server: ChatServer) -> None:
    server.says("x")

    list(Endpoint(server.url).stream(QUESTION, sampling=Sampling(top_k=5, min_p=0.1, repeat_penalty=1.1)))

    asked = server.asked[0]
    assert (asked["top_k"], asked["min_p"], asked["repetition_penalty"]) == (5, 0.1, 1.1)


@pytest.mark.parametrize("owner", ["vllm", "sglang", "somebody"])
def test_a_prefix_is_a_trailing_message(server: ChatServer, owner: str) -> None:
    server.models = [{"id": "small", "owned_by": owner}]
    server.says("is.")

    pieces = list(Endpoint(server.url).stream(QUESTION, prefix="Par"))

    asked = server.asked[0]
    assert asked["messages"][-1] == {"role": "assistant", "content": "Par"}
    told = (asked.get("continue_final_message"), asked.get("add_generation_prompt"))
    assert told == ((True, False) if owner != "somebody" else (None, None))
    assert text_of(pieces) == "is."


def test_a_repeated_prefix_is_left_out(server: ChatServer) -> None:
    server.says("<thin", "king>\nFrance", "'s is Paris", completion_tokens=9, prompt_tokens=1)

    pieces = list(Endpoint(server.url).stream(QUESTION, prefix="<thinking>\n"))

    assert text_of(pieces) == "France's is Paris"
    assert pieces[-1].usage is not None


@given(st.text("ab<", max_size=6), st.text("ab<", max_size=8), st.lists(st.integers(0, 14), max_size=6))
def test_the_echo_is_found_however_the_text_is_cut(prefix: str, text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [Piece(text[start:end]) for start, end in pairwise(edges)]
    pieces.append(Piece(finish_reason="stop", usage=Usage()))

    left = list(without_echo(iter(pieces), prefix))

    assert text_of(left) == text.removeprefix(prefix)
    assert [piece.finish_reason for piece in left][-1] == "stop"
    assert all(piece.usage is None for piece in left[:-1])


def test_the_model_and_its_context_are_asked_for(server: ChatServer) -> None:
    server.models = [{"id": "big-one", "max_model_len": 4096}]

    assert Endpoint(server.url).name == "big-one"
    assert Endpoint(f"{server.url}/v1/").context_tokens == 4096
    assert Endpoint(server.url, context_tokens=1000).context_tokens == 1000


def test_a_named_model_needs_no_list(server: ChatServer) -> None:
    server.models = []
    endpoint = Endpoint(server.url, "mine")

    assert endpoint.name == "mine"
    assert endpoint.context_tokens == 32_768


def test_one_of_several_models_must_be_named(server: ChatServer) -> None:
    server.models = [{"id": "one"}, {"id": "two"}]

    with pytest.raises(UsageError, match=r"serves 2 models \(one, two\): name one, as in .*/v1#MODEL"):
        list(Endpoint(server.url).stream(QUESTION))


def test_closing_the_iterator_hangs_up(server: ChatServer) -> None:
    server.scripts.append(Script(events=[{"choices": [{"delta": {"content": "x" * 5000}}]}] * 400, wait_s=0.02))
    pieces = Endpoint(server.url).stream(QUESTION)
    next(pieces)

    pieces.close()  # type: ignore[attr-defined]

    assert server.hung_up.wait(5)


def test_pieces_come_as_they_are_made(server: ChatServer) -> None:
    server.says("a", "b", "c")
    server.scripts[0].wait_s = 0.2
    pieces = Endpoint(server.url).stream(QUESTION)
    began = time.monotonic()

    assert next(pieces).text == "a"
    assert time.monotonic() - began < 0.75


def test_a_busy_or_broken_server_is_asked_again(server: ChatServer) -> None:
    server.fails(429, "slow down", Retry_After="0.3")
    server.fails(503)
    server.says("Paris.")
    began = time.monotonic()

    assert text_of(list(Endpoint(server.url).stream(QUESTION))) == "Paris."
    assert time.monotonic() - began > 0.3
    assert len(server.asked) == 3


def failure(server: ChatServer, **options: object) -> str:
    with pytest.raises(ModelError) as raised:
        list(Endpoint(server.url, **options).stream(QUESTION))  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "refused the request (HTTP 400: too odd)"),
        (401, "refuses the key (HTTP 401: too odd): check SERIATIM_API_KEY"),
        (403, "check SERIATIM_API_KEY"),
        (404, "does not have the model small"),
        (307, "sends on to"),
    ],
)
def test_a_refusal_is_told_at_once(server: ChatServer, status: int, words: str) -> None:
    server.fails(status, "too\nodd")

    assert words in failure(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(429, "too many requests"), (500, "failed (HTTP 500"), (503, "HTTP 503")]
)
def test_a_server_that_stays_busy_is_given_up(server: ChatServer, status: int, words: str) -> None:
    for _ in range(9):
        server.fails(status, "no", Retry_After="0")

    assert words in failure(server)
    assert len(server.asked) == 3


def test_text_that_has_come_is_never_asked_for_again(server: ChatServer) -> None:
    server.scripts.append(Script(events=[{"choices": [{"delta": {"content": "Par"}}]}], breaks=True))
    pieces = Endpoint(server.url).stream(QUESTION)

    assert next(pieces).text == "Par"
    with pytest.raises(ModelError, match="in the middle of its answer: ask again"):
        next(pieces)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (b"data: {nonsense\n\n", "not JSON"),
        (b"data: 5\n\n", "not an object"),
        ({"error": {"message": "out of memory"}}, "failed in the middle of its answer: out of memory"),
        ({"choices": [{"delta": {}, "finish_reason": "content_filter"}]}, "withheld"),
        ({"choices": [{"delta": {"content": "Par"}}]}, "broke off before its answer was finished"),
        ({"choices": 7}, "is it OpenAI-compatible?"),
        ({"choices": [{"delta": "Par"}]}, "is it OpenAI-compatible?"),
    ],
)
def test_a_stream_at_fault_is_told(server: ChatServer, event: object, words: str) -> None:
    server.scripts.append(Script(events=[event]))

    assert words in failure(server)


def test_an_answer_that_is_no_json_is_told(server: ChatServer) -> None:
    server.models = [{"name": "no id"}]

    assert "cannot be read: is it OpenAI-compatible?" in failure(server)


def test_silence_is_not_waited_for_forever(server: ChatServer) -> None:
    server.scripts.append(Script(wait_s=3))

    assert "gave no answer within 0.2 s" in failure(server, timeout_s=0.2)
    server.says("Par", "is")
    server.scripts[0].wait_s = 0.0
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "script",
    [
        Script(body=b"{}", wait_s=30),
        Script(events=[{"choices": [{"delta": {"content": "word"}}]}] * 9, wait_s=30),
        Script(status=503, headers={"Retry-After": "30"}),
    ],
    ids=["before its head", "in its answer", "between attempts"],
)
def test_who_waits_for_a_silent_server_can_be_woken(server: ChatServer, script: Script) -> None:
    server.scripts.append(script)
    endpoint = Endpoint(server.url, "small")
    waker = threading.Timer(0.5, endpoint.interrupt)
    waker.start()
    began = time.monotonic()
    with pytest.raises(ModelError):
        list(endpoint.stream(QUESTION))
    assert 0.4 < time.monotonic() - began < 2
    assert len(server.asked) == 1
    server.says("Paris.")
    assert text_of(list(endpoint.stream(QUESTION))) == "Paris."


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(ModelError, match=r"http://127.0.0.1:9 refused the connection: is the server running\?"):
        list(Endpoint("http://127.0.0.1:9", retries=0).stream(QUESTION))
    with pytest.raises(ModelError, match=r"cannot be found: is this machine online\?"):
        list(Endpoint("http://no-such-host.invalid", retries=0).stream(QUESTION))


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "ftp://here/v1",
        "http://",
        "",
        "http://localhost:99999/v1",
        "http://localhost:80a0",
        "http://[::1",
        "http://a..b/v1",
        f"http://{'a' * 64}/v1",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        Endpoint(address)


def sent_keys(server: ChatServer) -> set[str | None]:
    return {headers.get("authorization") for headers in server.headers}


def test_the_key_is_sent(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai")
    Endpoint(server.url).name  # noqa: B018
    assert sent_keys(server) == {"Bearer openai"}

    server.headers.clear()
    monkeypatch.setenv("SERIATIM_API_KEY", "ours")
    Endpoint(server.url).name  # noqa: B018
    assert sent_keys(server) == {"Bearer ours"}

    server.headers.clear()
    Endpoint(server.url, api_key="given").name  # noqa: B018
    assert sent_keys(server) == {"Bearer given"}


def test_what_goes_to_this_machine_takes_no_proxy(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.says("Paris.")
    assert text_of(list(Endpoint(server.url).stream(QUESTION))) == "Paris."


def test_a_password_in_the_address_is_not_shown(server: ChatServer) -> None:
    address = server.url.replace("http://", "http://user:secret@") + "/nowhere"
    with pytest.raises(UsageError) as caught:
        list(Endpoint(address).stream(QUESTION))
    assert "/nowhere" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_key_is_not_shown(server: ChatServer) -> None:
    server.fails(401, "no")

    endpoint = Endpoint(server.url.replace("http://", "http://me:password@"), api_key="sk-secret")
    with pytest.raises(ModelError) as raised:
        list(endpoint.stream(QUESTION))

    assert "secret" not in str(raised.value) + repr(endpoint)
    assert "password" not in str(raised.value)


def test_no_key_goes_unencrypted_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="would get the key unencrypted: use https"):
        Endpoint("http://192.0.2.1:8000", api_key="sk")
    Endpoint("https://192.0.2.1:8000", api_key="sk")
    monkeypatch.setenv("OPENAI_API_KEY", "openai")
    endpoint = Endpoint("http://192.0.2.1:8000")
    assert "authorization" not in endpoint._api._client.headers


def test_embeddings_come_in_order_as_unit_vectors(server: ChatServer) -> None:
    rows = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]
    server.scripts.append(Script(body=json.dumps({"data": rows}).encode()))

    vectors = embed_texts(server.url, None, ["one", "two"])

    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)
    assert server.asked[0] == {"path": "/v1/embeddings", "model": "small", "input": ["one", "two"]}


def test_many_texts_are_embedded_in_batches(server: ChatServer) -> None:
    for size in (64, 36):
        rows = [{"index": number, "embedding": [1.0, number]} for number in range(size)]
        server.scripts.append(Script(body=json.dumps({"data": rows}).encode()))

    assert embed_texts(server.url, "bge", [str(number) for number in range(100)]).shape == (100, 2)
    assert [len(asked["input"]) for asked in server.asked] == [64, 36]


def test_no_texts_need_no_server() -> None:
    assert embed_texts("http://127.0.0.1:9", None, []).shape == (0, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "cannot be read"),
        (b"<html>", "other than JSON"),
        (b'{"data": [{"embedding": [1.0]}]}', "1 embeddings for 2 texts"),
        (b'{"data": [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}]}', "not vectors of one length"),
        (b'{"data": [{"embedding": ["x"]}, {"embedding": ["y"]}]}', "not vectors of one length"),
        (b'{"data": [{"embedding": [NaN]}, {"embedding": [1.0]}]}', "not vectors of one length"),
    ],
)
def test_embeddings_at_fault_are_told(server: ChatServer, body: bytes, words: str) -> None:
    server.scripts.append(Script(body=body))

    with pytest.raises(ModelError, match=words):
        embed_texts(server.url, None, ["one", "two"])


def test_tokens_are_estimated_from_above() -> None:
    # What the tokenizer of SmolLM2, an English one, makes of these.
    counted = {
        "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse,": 23,
        "Die Geschwindigkeitsbegrenzung auf österreichischen Autobahnen überrascht Reisende.": 32,
        "def add(a, b):\n    return a + b\n": 14,
        "我们的祖先在这里生活了几千年": 32,
        "": 0,
    }
    for text, tokens in counted.items():
        assert tokens <= estimate_tokens(text) <= max(2 * tokens, 1)
