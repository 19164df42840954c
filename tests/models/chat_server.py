"""A real OpenAI-compatible server that answers as it is told to."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Script:
    """What the server does next: a status with a body, or a stream of events, `wait_s` before each.

    A stream ends with `[DONE]` unless it `breaks`.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    events: list[Any] | None = None
    wait_s: float = 0.0
    breaks: bool = False


@dataclass
class ChatServer:
    url: str
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "small"}])
    scripts: list[Script] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def says(self, *deltas: dict[str, Any] | str, finish: str = "stop", **usage: Any) -> None:
        """Answer the next question with these deltas; plain text stands for content."""
        events: list[Any] = [{"choices": [{"delta": {"role": "assistant"}}]}]
        written = ({"content": delta} if isinstance(delta, str) else delta for delta in deltas)
        events += [{"choices": [{"delta": delta}]} for delta in written]
        events.append({"choices": [{"delta": {}, "finish_reason": finish}]})
        if usage:
            events.append({"choices": [], "usage": usage})
        self.scripts.append(Script(events=events))

    def fails(self, status: int, message: str = "", **headers: str) -> None:
        body = json.dumps({"error": {"message": message}}).encode() if message else b""
        self.scripts.append(Script(status=status, body=body, headers=headers))


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path != "/v1/models" or not served.models:
                self._whole(404, b"", {})
            else:
                self._whole(200, json.dumps({"data": served.models}).encode(), {})

        def do_POST(self) -> None:
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append(request | {"path": self.path})
            script = served.scripts.pop(0) if served.scripts else Script(status=500)
            try:
                if script.events is None:
                    time.sleep(script.wait_s)
                    self._whole(script.status, script.body, script.headers)
                else:
                    self._stream(script)
            except (BrokenPipeError, ConnectionResetError):
                served.hung_up.set()
                self.close_connection = True

        def _whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, script: Script) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in script.events or ():
                time.sleep(script.wait_s)
                self._chunk(event if isinstance(event, bytes) else f"data: {json.dumps(event)}\n\n".encode())
            if not script.breaks:
                self._chunk(b": a comment\n\ndata: [DONE]\n\n")
                self._chunk(b"")
            self.close_connection = True

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = ChatServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
