"""Bytes to a server and back, as no well-behaved client would send them."""

import socket
from urllib.parse import urlsplit

from tests.server.conftest import Served

HEAD = b"POST /api/libraries/default/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def raw(server: Served, sent: bytes, *, wait_s: float = 10.0) -> bytes:
    """What comes back for these very bytes, until the server closes or falls silent."""
    parts = urlsplit(server.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=wait_s) as line:
        line.sendall(sent)
        received = b""
        while True:
            try:
                piece = line.recv(65536)
            except (TimeoutError, ConnectionResetError):
                return received
            if not piece:
                return received
            received += piece
            if b"\r\n\r\n" in received and b"connection: close" not in received.lower():
                return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0
