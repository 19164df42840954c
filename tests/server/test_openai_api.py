"""The OpenAI-compatible API by those who speak it: OpenAI's client, LangChain, LlamaIndex, Open WebUI."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from seriatim.models.generator import Piece
from seriatim.server.reference import operations
from tests.server.conftest import QUESTION, Served, serving
from tests.server.talking import ANSWER, Talking

ASKED = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def client(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["seriatim/default", "talking"]
    assert client.models.retrieve("seriatim/default").owned_by == "seriatim"
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-9'"):
        client.models.retrieve("gpt-9")


def test_a_library_answers(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model="seriatim/default", messages=ASKED)
    (choice,) = done.choices
    assert choice.message.content.startswith(ANSWER[:-1])
    assert "<" not in choice.message.content
    assert "the price." in choice.message.reasoning_content
    assert choice.message.reasoning == choice.message.reasoning_content
    assert choice.message.citations[0]["document"] == "voyage.md"
    assert choice.finish_reason == "stop"
    assert done.usage.prompt_tokens > 0
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens


def test_a_library_streams(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="seriatim/default", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    content = "".join(delta.content or "" for delta in deltas)
    reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert content.startswith(ANSWER[:-1])
    assert "Eleven crowns." in reasoning
    assert "<" not in content + reasoning
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_without_reasoning_effort_a_library_answers_at_once(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model="seriatim/default", messages=ASKED, reasoning_effort="minimal")
    assert not hasattr(done.choices[0].message, "reasoning")


def test_a_conversation_with_a_library_goes_on(client: openai.OpenAI, server: Served) -> None:
    turns = [*ASKED, {"role": "assistant", "content": ANSWER}, {"role": "user", "content": "And where?"}]
    client.chat.completions.create(model="seriatim/default", messages=turns)
    assert any("And where?" in prompt and QUESTION in prompt for prompt in server.model.prompts)


def test_a_bare_model_is_itself(client: openai.OpenAI, server: Served) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    done = client.chat.completions.create(
        model="talking", messages=turns, max_tokens=4, temperature=0.7, top_p=0.5, seed=7
    )
    assert done.choices[0].message.content == "They sold the oil"
    assert done.choices[0].finish_reason == "length"
    assert done.usage.completion_tokens == 4
    assert server.model.prompts[-1] == "Be brief.\nHi"
    asked = server.model.samplings[-1]
    assert (asked.temperature, asked.top_p, asked.seed) == (0.7, 0.5, 7)


def test_the_tags_of_a_bare_model_are_taken_out(tmp_path: Path) -> None:
    model = Talking(
        "<thinking>\n\n Two and two.<reflection>Carry nothing.</reflection></thinking><output>Four.</output>"
    )
    with serving(tmp_path, model) as served, openai.OpenAI(base_url=f"{served.address}/v1", api_key="x") as client:
        message = client.chat.completions.create(model="talking", messages=ASKED).choices[0].message
    assert message.content == "Four."
    assert message.reasoning.startswith("Two and two.")
    assert "Carry nothing." in message.reasoning


def test_plain_completions(client: openai.OpenAI) -> None:
    done = client.completions.create(model="talking", prompt="Once", max_tokens=3)
    assert done.choices[0].text == "They sold the"
    chunks = list(client.completions.create(model="talking", prompt=["Once"], max_tokens=3, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "They sold the"


def test_embeddings_in_both_encodings(client: openai.OpenAI) -> None:
    texts = ["the price of oil", "what the oil cost", "pear trees"]
    packed = client.embeddings.create(model="static", input=texts)  # the client asks for base64
    plain = client.embeddings.create(model="static", input=texts, encoding_format="float")
    rows = np.array([each.embedding for each in packed.data])
    assert np.allclose(rows, [each.embedding for each in plain.data])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    assert packed.usage.prompt_tokens > 0
    with pytest.raises(openai.NotFoundError, match="no embedder"):
        client.embeddings.create(model="ada", input="x")
    with pytest.raises(openai.BadRequestError, match="256 dimensions"):
        client.embeddings.create(model="static", input="x", dimensions=3)


def test_errors_are_openais(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-9'"):
        client.chat.completions.create(model="gpt-9", messages=ASKED)
    with pytest.raises(openai.NotFoundError, match="no library 'none'"):
        client.chat.completions.create(model="seriatim/none", messages=ASKED)
    with pytest.raises(openai.BadRequestError, match="no tools are called"):
        client.chat.completions.create(model="talking", messages=ASKED, tools=[], tool_choice="required")
    with pytest.raises(openai.BadRequestError, match="holds 8192 for prompt and answer"):
        client.chat.completions.create(model="talking", messages=[{"role": "user", "content": "so " * 9000}])
    with pytest.raises(openai.APIError, match="holds 8192 for prompt and answer"):
        list(
            client.chat.completions.create(
                model="talking", messages=[{"role": "user", "content": "so " * 9000}], stream=True
            )
        )


@pytest.mark.parametrize("asked", [{"temperature": 9}, {"messages": []}, {"max_tokens": 0}, {"messages": "hello"}])
def test_what_is_invalid_is_a_bad_request(client: openai.OpenAI, asked: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**{"model": "talking", "messages": ASKED, **asked})
    assert refused.value.param == next(iter(asked))
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize("texts", ["", " ", ["oil", ""], ["\n"]])
def test_an_empty_text_has_no_vector(client: openai.OpenAI, texts: str | list[str]) -> None:
    with pytest.raises(openai.BadRequestError, match="an empty text has no vector"):
        client.embeddings.create(model="static", input=texts)


@pytest.mark.parametrize("ids", [[1, 2, 3], [[1, 2], [3]]])
def test_token_ids_are_refused_with_what_to_do(client: openai.OpenAI, ids: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="set check_embedding_ctx_length=False"):
        client.embeddings.create(model="static", input=ids)


def test_a_turn_that_breaks_off_is_told(client: openai.OpenAI, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.model, "stream", lambda *_, **__: iter([Piece("They sold")]))
    with pytest.raises(openai.InternalServerError, match="broke off"):
        client.chat.completions.create(model="talking", messages=ASKED)
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.chat.completions.create(model="talking", messages=ASKED, stream=True))


def test_langchains_embeddings(server: Served) -> None:
    from langchain_openai import OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        base_url=f"{server.address}/v1",
        api_key="none",
        model="static",
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    rows = np.array(embeddings.embed_documents(["the price of oil", "pear trees"]))
    question = np.array(embeddings.embed_query("what the oil cost"))
    assert rows[0] @ question > rows[1] @ question


def test_langchain(server: Served) -> None:
    from langchain_core.messages import HumanMessage
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url=f"{server.address}/v1", api_key="none", model="seriatim/default", max_retries=0)
    whole = model.invoke([HumanMessage(QUESTION)])
    assert whole.content.startswith(ANSWER[:-1])
    assert whole.usage_metadata["input_tokens"] > 0
    streamed = "".join(str(chunk.content) for chunk in model.stream([HumanMessage(QUESTION)]))
    assert streamed == whole.content


def test_llama_index(server: Served) -> None:
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.llms.openai_like import OpenAILike

    model = OpenAILike(
        api_base=f"{server.address}/v1", api_key="none", model="seriatim/default", is_chat_model=True, max_retries=0
    )
    assert model.chat([ChatMessage(role="user", content=QUESTION)]).message.content.startswith(ANSWER[:-1])
    *_, last = model.stream_chat([ChatMessage(role="user", content=QUESTION)])
    assert last.message.content.startswith(ANSWER[:-1])
    bare = OpenAILike(api_base=f"{server.address}/v1", api_key="none", model="talking", max_retries=0)
    assert bare.complete("Once").text == ANSWER


def test_what_open_webui_sends(server: Served) -> None:
    """As its backend does: the list of models, then a chat with fields of its own, read as raw lines."""
    listed = server.http.get("/v1/models", headers={"authorization": "Bearer sk-none"}).json()
    assert "seriatim/default" in [each["id"] for each in listed["data"]]
    body = {
        "stream": True,
        "model": "seriatim/default",
        "messages": [
            {"role": "system", "content": "User Context:\n\n"},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        ],
        "stream_options": {"include_usage": True},
        "temperature": 0.8,
        "frequency_penalty": 0,
        "top_k": 40,
        "metadata": {"chat_id": "1"},
        "tools": [],
        "user": "someone",
    }
    with server.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas).startswith(ANSWER[:-1])
    assert any(delta.get("reasoning_content") for delta in deltas)
    assert chunks[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    "asked",
    [{"tools": [{"type": "function"}]}, {"logprobs": True}, {"logit_bias": {"5": 1}}, {"presence_penalty": 1}],
)
def test_what_cannot_be_done_is_refused(server: Served, asked: dict[str, Any]) -> None:
    body = {"model": "talking", "messages": [{"role": "user", "content": "hello"}], **asked}
    answer = server.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert "leave" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_stream_of_null_is_none(server: Served, path: str) -> None:
    body = {"model": "talking", "messages": [{"role": "user", "content": "hello"}], "prompt": "hello", "stream": None}
    answer = server.http.post(path, json=body)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["finish_reason"] == "stop"


def test_values_are_described_as_they_are_sent(server: Served) -> None:
    found = {each.path: dict(field[:2] for field in each.fields) for each in operations(create_schema(server))}
    fields = found["/v1/completions"]
    assert [fields[name] for name in ("n", "echo", "logprobs", "suffix")] == [
        "1 or null", "false or null", "0 or null", '"" or null',
    ]  # fmt: skip
    sent = {"model": "talking", "prompt": "hello", "n": 1, "echo": False, "logprobs": 0, "suffix": ""}
    assert server.http.post("/v1/completions", json=sent).status_code == 200


def create_schema(server: Served) -> dict[str, Any]:
    schema: dict[str, Any] = server.http.get("/openapi.json").json()
    return schema


def test_an_empty_list_of_inputs_is_told_as_such(server: Served) -> None:
    answer = server.http.post("/v1/embeddings", json={"model": "static", "input": []}).json()["error"]
    assert answer["param"] == "input"
    assert "at least 1 item" in answer["message"]
