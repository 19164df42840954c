"""A real file server with the faults that real ones have."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Route:
    """One file and how it is served. `faults` are used up, one a request, before all goes well.

    A fault is a status to answer with, or ("cut", n): break off after n bytes.
    """

    body: bytes
    etag: str = '"one"'
    content_type: str = "application/octet-stream"
    faults: list[Any] = field(default_factory=list)
    retry_after: str | None = None
    redirect: str | None = None
    bytes_per_s: float | None = None
    ranges: bool = True


@dataclass
class Seen:
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


@dataclass
class FileServer:
    url: str
    routes: dict[str, Route] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def sent(self, path: str) -> int:
        return sum(seen.sent for seen in self.requests(path))


@contextmanager
def file_server(host: str = "127.0.0.1") -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()})
            served.seen.append(seen)
            try:
                self._serve(seen)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _serve(self, seen: Seen) -> None:
            route = served.routes.get(self.path)
            fault = route.faults.pop(0) if route and route.faults else None
            if route is None or isinstance(fault, int):
                self._head(seen, fault if route and isinstance(fault, int) else 404, 0, route)
                return
            if route.redirect:
                self._head(seen, 302, 0, route, Location=route.redirect)
                return
            start = self._start(seen, route)
            if start is not None and start >= len(route.body):
                self._head(seen, 416, 0, route, **{"Content-Range": f"bytes */{len(route.body)}"})
                return
            body = route.body[start or 0 :]
            extra = {"ETag": route.etag, "Content-Type": route.content_type}
            if start is None:
                self._head(seen, 200, len(body), route, **extra)
            else:
                extra["Content-Range"] = f"bytes {start}-{len(route.body) - 1}/{len(route.body)}"
                self._head(seen, 206, len(body), route, **extra)
            self._send(seen, route, body[: fault[1]] if fault else body)
            if fault:
                self.close_connection = True

        def _start(self, seen: Seen, route: Route) -> int | None:
            asked = seen.headers.get("range", "")
            same = seen.headers.get("if-range", route.etag) == route.etag
            return int(asked.removeprefix("bytes=").rstrip("-")) if asked and same and route.ranges else None

        def _head(self, seen: Seen, status: int, length: int, route: Route | None, **headers: str) -> None:
            seen.status = status
            self.send_response(status)
            if route and route.retry_after and status in (429, 503):
                self.send_header("Retry-After", route.retry_after)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def _send(self, seen: Seen, route: Route, body: bytes) -> None:
            step = 1 << 14 if route.bytes_per_s else 1 << 20
            for start in range(0, len(body), step):
                block = body[start : start + step]
                self.wfile.write(block)
                seen.sent += len(block)
                if route.bytes_per_s:
                    time.sleep(len(block) / route.bytes_per_s)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer((host, 0), Handler) as server:
        served = FileServer(f"http://{host}:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
