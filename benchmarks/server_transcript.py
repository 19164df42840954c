"""A conversation of OpenAI's client and one of the MCP client with a live server, written down as they happen.

The server reads the sample document with the model given. What the clients send and get is printed as Markdown.

    pip install '.[dev]' -c constraints.txt
    python benchmarks/server_transcript.py --out docs/server-transcript.md
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from mcp import Client
from openai import OpenAI

QUESTION = "Who was the first to find that the lake had gone, when the fog lifted?"
SAMPLE = Path(__file__).parents[1] / "examples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--port", type=int, default=8799)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    address = f"http://127.0.0.1:{options.port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "seriatim", "serve", "--no-browser", "--port", str(options.port)]
        server = subprocess.Popen([*command, "--model", options.model, "--embedder", "static"], env=_home(folder))
        try:
            _upload(address)
            lines = [
                "# The server, spoken to",
                "",
                f"Written by `python {' '.join(sys.argv)}` against a live server; the reader is `{options.model}`, the",
                "library holds the sample document. A reader this small is often wrong; what matters here is the form.",
                "",
                *_openai(address, options.question, options.model),
                *asyncio.run(_mcp(address, options.question)),
            ]
        finally:
            server.terminate()
            server.wait(60)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


def _home(folder: str) -> dict[str, str]:
    """An empty home that has the models of the real one."""
    import os

    from seriatim.home import home

    (Path(folder) / "models").symlink_to(home() / "models")
    return {**os.environ, "SERIATIM_HOME": folder}


def _upload(address: str) -> None:
    documents = sorted(path for path in SAMPLE.glob("*.md") if path.name != "README.md")
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as http:
        for _ in range(300):
            try:
                http.get("/api/health")
                break
            except httpx.ConnectError:
                time.sleep(0.2)
        files = [("files", (path.name, path.read_bytes())) for path in documents]
        jobs = http.post("/api/libraries/default/documents", files=files).json()["jobs"]
        while any(http.get(f"/api/jobs/{job['id']}").json()["state"] in ("waiting", "reading") for job in jobs):
            time.sleep(0.1)


def _openai(address: str, question: str, model: str) -> list[str]:
    lines = ["## OpenAI's client", ""]
    with OpenAI(base_url=f"{address}/v1", api_key="none", timeout=900) as client:
        lines += _shown("client.models.list()", [each.id for each in client.models.list()])
        asked: Any = [{"role": "user", "content": question}]
        done = client.chat.completions.create(model="seriatim/default", messages=asked, reasoning_effort="none")
        lines += _shown(
            f'client.chat.completions.create(model="seriatim/default", messages={asked!r}, reasoning_effort="none")',
            done.to_dict(),
        )
        asked = [{"role": "user", "content": "Name a colour."}]
        chunks = client.chat.completions.create(
            model=model, messages=asked, max_tokens=8, stream=True, stream_options={"include_usage": True}
        )
        lines += _shown(
            f'client.chat.completions.create(model="{model}", messages={asked!r}, max_tokens=8, stream=True, …)',
            *(chunk.to_dict() for chunk in chunks),
        )
    return lines


async def _mcp(address: str, question: str) -> list[str]:
    lines = ["## MCP, streamable HTTP", ""]
    async with Client(f"{address}/mcp", read_timeout_seconds=900) as client:
        tools = (await client.list_tools()).tools
        lines += _shown("client.list_tools()", {tool.name: tool.description for tool in tools})
        found = await client.call_tool("search", {"question": question, "tokens": 256, "effort": "fast"})
        lines += _shown(f'client.call_tool("search", {{"question": "{question}", "tokens": 256, …}})', _result(found))
        refused = await client.call_tool("search", {"question": question, "library": "../etc"})
        lines += _shown('client.call_tool("search", {…, "library": "../etc"})', refused.content[0].text)
    return lines


def _result(result: Any) -> object:
    return result.structured_content


def _shown(call: str, *answers: object) -> list[str]:
    """A call, and what came back: one answer laid out, or several a line each."""
    texts = [json.dumps(answer, ensure_ascii=False, indent=1 if len(answers) == 1 else None) for answer in answers]
    return ["```python", call, "```", "", "```json", *texts, "```", ""]


if __name__ == "__main__":
    main()
