"""MCP by the SDK's own client, over streamable HTTP and over standard input and output."""

import asyncio
import errno
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters

from seriatim.errors import DocumentError
from seriatim.retrieval.library import Library
from seriatim.server import mcp
from tests.models.chat_server import chat_server
from tests.retrieval.conftest import ORCHARD, VOYAGE
from tests.server.conftest import QUESTION, Served, serving
from tests.server.talking import ANSWER, Talking


def talk(server: Any, conversation: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Client(server) as client:
            await conversation(client)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_the_tools_over_http(server: Served) -> None:
    async def conversation(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"list_libraries", "search", "ask", "add"}
        assert tools["search"].annotations.read_only_hint
        listed = (await client.call_tool("list_libraries", {})).structured_content["libraries"]
        assert [each["name"] for each in listed[0]["documents"]] == ["orchard.txt", "voyage.md"]

        found = (await client.call_tool("search", {"question": QUESTION, "effort": "fast"})).structured_content
        assert any("eleven crowns" in each["text"] for each in found["passages"])

        told: list[str] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            told.append(message or "")

        answer = await client.call_tool("ask", {"question": QUESTION}, progress_callback=progress)
        assert answer.structured_content["answer"].startswith(ANSWER[:-1])
        assert answer.structured_content["citations"][0]["document"] == "voyage.md"
        assert json.loads(answer.content[0].text) == answer.structured_content
        assert told[:2] == ["retrieve", "plan"]

        added = await client.call_tool("add", {"name": "../../etc/bees", "text": "The swarm was bought in May. " * 9})
        assert added.structured_content["name"] == "bees.txt"
        found = await client.call_tool("search", {"question": "When was the swarm bought?", "effort": "fast"})
        assert "in May" in str(found.structured_content)

    talk(f"{server.address}/mcp", conversation)


def test_errors_are_results_in_our_words(server: Served) -> None:
    async def conversation(client: Client) -> None:
        for tool, arguments, said in [
            ("search", {"question": " "}, "the question is empty"),
            ("search", {"question": QUESTION, "library": "../etc"}, "there is no library"),
            ("ask", {"question": QUESTION, "library": "none"}, "there is no library"),
            ("add", {"name": "x", "text": " "}, "has no text"),
            ("search", {"question": QUESTION, "tokens": -1}, "tokens: Input should be greater than or equal to 1"),
            ("search", {}, "question: Field required"),
        ]:
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert said in result.content[0].text
            assert "\n" not in result.content[0].text
            assert "http" not in result.content[0].text

    talk(f"{server.address}/mcp", conversation)


def test_a_damaged_library_takes_no_other_from_the_list(server: Served) -> None:
    server.http.post("/api/libraries", json={"name": "damaged"})
    for file in (server.home / "libraries" / "damaged").glob("library.sqlite*"):
        file.write_bytes(b"no database")

    async def conversation(client: Client) -> None:
        listed = (await client.call_tool("list_libraries", {})).structured_content["libraries"]
        assert [(each["name"], len(each["documents"])) for each in listed] == [("default", 2), ("damaged", 0)]
        assert listed[0]["error"] is None
        assert "restore it" in listed[1]["error"]

    talk(f"{server.address}/mcp", conversation)


def test_nothing_is_streamed_that_nobody_asked_for(server: Served) -> None:
    for method in ("GET", "DELETE"):
        refused = server.http.request(method, "/mcp", headers={"accept": "text/event-stream"})
        assert refused.status_code == 405
        assert refused.headers["allow"] == "POST"


def test_clients_are_told_apart_by_address_and_program(tmp_path: Path) -> None:
    async def ask(client: Client) -> None:
        assert not (await client.call_tool("ask", {"question": QUESTION})).is_error

    async def ask_too_often(client: Client) -> None:
        refused = await client.call_tool("ask", {"question": QUESTION})
        assert refused.is_error
        assert "1 of your questions are waiting already" in refused.content[0].text

    with serving(tmp_path / "home", limits={"waiting_per_client": 1}) as served:
        served.upload(("voyage.md", VOYAGE.encode()))
        served.model.held.clear()
        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(talk, f"{served.address}/mcp", ask) for _ in range(2)]
            until_waiting(served, 1)
            try:
                talk(f"{served.address}/mcp", ask_too_often)
                served.http.headers["user-agent"] = "the page"
                asked.append(threads.submit(served.ask))
                until_waiting(served, 2)
            finally:
                served.model.held.set()
            for each in asked:
                each.result()


def until_waiting(served: Served, count: int) -> None:
    while served.http.get("/api/health").json()["queue"] != {"running": 1, "waiting": count}:
        time.sleep(0.01)


def ask_and_hang_up(served: Served) -> None:
    call = {"name": "ask", "arguments": {"question": QUESTION}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
    with (
        pytest.raises(httpx.ReadTimeout),
        served.http.stream("POST", "/mcp", headers=headers, json=body, timeout=1.5) as response,
    ):
        response.read()


def test_who_hangs_up_stops_the_model_within_a_second(tmp_path: Path) -> None:
    model = Talking("word " * 2000, pause_s=0.05)
    with serving(tmp_path / "home", model) as served:
        served.upload(("voyage.md", VOYAGE.encode()))
        ask_and_hang_up(served)
        gone = time.monotonic()
        while model.running:
            assert time.monotonic() - gone < 1
            time.sleep(0.01)
        assert model.closed == 1
        assert served.http.get("/api/health").json()["queue"] == {"running": 0, "waiting": 0}


def test_who_hangs_up_leaves_the_queue(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as served, ThreadPoolExecutor(1) as threads:
        served.upload(("voyage.md", VOYAGE.encode()))
        served.model.held.clear()
        first = threads.submit(served.ask)
        while not served.model.running:
            time.sleep(0.01)
        try:
            waiting = threading.Thread(target=ask_and_hang_up, args=(served,))
            waiting.start()
            until_waiting(served, 1)
            waiting.join()
            until_waiting(served, 0)
        finally:
            served.model.held.set()
        assert first.result()[-1][0] == "answer"


def test_a_text_of_a_name_that_is_taken_is_told_by_its_own(server: Served) -> None:
    async def conversation(client: Client) -> None:
        added = await client.call_tool("add", {"name": "orchard.txt", "text": "The swarm was bought in May. " * 9})
        assert added.structured_content["name"] == "orchard (2).txt"
        again = await client.call_tool("add", {"name": "bees", "text": "The swarm was bought in May. " * 9})
        assert again.structured_content == added.structured_content

    talk(f"{server.address}/mcp", conversation)


def test_a_file_that_cannot_be_read_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(mcp, "sha256", refused)
    with (
        Library(tmp_path / "library", embedder="static") as library,
        pytest.raises(DocumentError, match="locked\\.md cannot be read: Permission denied"),
    ):
        mcp._added(library, tmp_path / "locked.md")


def test_the_token_stands_before_it(tmp_path: Path) -> None:
    with serving(tmp_path, token="a-token-of-some-length") as served:
        assert served.http.post("/mcp", headers={"authorization": ""}, json={}).status_code == 401


def test_the_tools_over_standard_input(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "voyage.md").write_text(VOYAGE)
    (tmp_path / "allowed" / "the same.md").write_text(VOYAGE)
    (tmp_path / "secret.txt").write_text(ORCHARD)
    (tmp_path / "allowed" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "allowed" / "below").mkdir()
    (tmp_path / "allowed" / "below" / "link.txt").symlink_to(tmp_path / "secret.txt")
    with chat_server() as model:
        model.says("it.")
        model.says("Eleven crowns.")
        model.says(ANSWER)
        model.says("correct")
        command = ["-m", "seriatim", "mcp", "--model", model.url, "--embedder", "static"]
        server = StdioServerParameters(
            command=sys.executable,
            args=[*command, "--allow", str(tmp_path / "allowed")],
            env={**os.environ, "SERIATIM_HOME": str(tmp_path / "home")},
        )

        async def conversation(client: Client) -> None:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert names == {"list_libraries", "search", "ask", "add", "add_file"}
            added = await client.call_tool("add_file", {"path": str(tmp_path / "allowed" / "voyage.md")})
            assert added.structured_content == {"name": "voyage.md", "library": "default"}
            below = await client.call_tool("add_file", {"path": "voyage.md"})
            assert below.structured_content == added.structured_content
            again = await client.call_tool("add_file", {"path": str(tmp_path / "allowed" / "the same.md")})
            assert again.structured_content == added.structured_content
            for path in (
                tmp_path / "secret.txt",
                tmp_path / "allowed" / "link.txt",
                "/etc/passwd",
                "\0",
                "../secret.txt",
                "~nobody-x/a",
            ):
                refused = await client.call_tool("add_file", {"path": str(path)})
                assert refused.is_error
                assert "none of the folders" in refused.content[0].text
            for several in ("allowed/below", "allowed/below/*.txt", "allowed/**", "allowed/none.txt"):
                refused = await client.call_tool("add_file", {"path": str(tmp_path / several)})
                assert refused.is_error
                assert "name one file" in refused.content[0].text
            answer = await client.call_tool("ask", {"question": QUESTION})
            assert answer.structured_content["answer"].startswith(ANSWER[:-1])

        talk(server, conversation)
