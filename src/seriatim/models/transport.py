"""HTTP as the models need it: the system's certificates, patience with busy servers, and failures in plain words."""

import math
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 529})
LONGEST_WAIT_S = 30.0
_CONNECTED = (".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")
_NEVER = Event()


class Lines:
    """The connections of one client, on which another thread can hang up: closing the client would leave who waits for
    an answer waiting. `hung_up` is set from then on, until it is cleared for the next request."""

    def __init__(self) -> None:
        self.hung_up = Event()
        self._sockets: list[socket.socket] = []

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Goes with every request that can be hung up on, as its extension `trace`."""
        if event.endswith(_CONNECTED):
            line = info["return_value"].get_extra_info("socket")
            self._sockets = [*(each for each in self._sockets if each.fileno() >= 0), line]
            if self.hung_up.is_set():  # while it was being connected
                _shut(line)

    def hang_up(self) -> None:
        """End whatever is awaited; whoever waits wakes up with an `httpx.RequestError`. Any thread may call."""
        self.hung_up.set()
        for line in self._sockets:
            _shut(line)


def _shut(line: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        # Not the method that TLS has instead: it takes the encryption away from under the thread that reads.
        socket.socket.shutdown(line, socket.SHUT_RDWR)


def open_client(
    *, connect_s: float, read_s: float | None, headers: Mapping[str, str] | None = None, proxied: bool = True
) -> "httpx.Client":
    """An HTTP client that trusts the system's certificates. `read_s` limits the silence between two pieces.

    Unless `proxied`, a proxy named by the environment is passed by: what goes to this machine must not leave it.
    """
    import ssl

    import httpx

    timeout = httpx.Timeout(connect=connect_s, read=read_s, write=read_s, pool=None)
    return httpx.Client(timeout=timeout, headers=headers, verify=ssl.create_default_context(), trust_env=proxied)


def send(
    client: "httpx.Client",
    request: "httpx.Request",
    *,
    retries: int,
    follow_redirects: bool = False,
    hung_up: Event = _NEVER,
) -> "httpx.Response":
    """Send a request, again (at most `retries` times) while the server is busy, broken or not reached, and until
    somebody has `hung_up`.

    The response is open: its body has not been read, and the caller closes it. Raises `httpx.RequestError` where
    no response came.
    """
    import httpx

    attempt = 0
    while True:
        try:
            response = client.send(request, stream=True, follow_redirects=follow_redirects)
        except (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError):
            if attempt >= retries or hung_up.is_set():
                raise
            wait = _backoff_s(attempt)
        else:
            if attempt >= retries or response.status_code not in RETRIED_STATUSES:
                return response
            asked = retry_after_s(response.headers.get("retry-after"))
            wait = _backoff_s(attempt) if asked is None else min(asked, LONGEST_WAIT_S)
            response.close()
        if hung_up.wait(wait):
            raise httpx.NetworkError("hung up before the next attempt", request=request)
        attempt += 1


def event_lines(response: "httpx.Response") -> Iterator[str]:
    """The lines of a stream of server-sent events, as they come.

    They end at a line feed alone: httpx's own `iter_lines` also ends them at U+2028 and its like, which stand in the
    JSON of events unescaped.
    """
    rest = b""
    for block in response.iter_bytes():
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    yield rest.decode("utf-8", "replace").rstrip("\r")


def _backoff_s(attempt: int) -> float:
    return min(0.5 * 2.0**attempt, LONGEST_WAIT_S)


def retry_after_s(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks to wait, given as seconds or as a date; None where it says neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (then - datetime.now(UTC)).total_seconds()) if then.tzinfo else None


def why(error: "httpx.RequestError") -> str:
    """Why no answer came, in words that end a sentence beginning with the server's name."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return "cannot be reached: no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "stopped answering"
    if isinstance(error, httpx.TooManyRedirects):
        return "sends from one address to the next without end"
    if isinstance(error, httpx.DecodingError):
        return "sent something that cannot be unpacked"
    causes: list[BaseException] = [error]
    while following := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(following)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "cannot be found: is this machine online?"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "refused the connection: is the server running?"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "has a certificate that this machine does not trust: set SSL_CERT_FILE to your organisation's"
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached ({str(error) or type(error).__name__})"
    return "broke off the connection"


def is_address(url: str) -> bool:
    """Whether `url` is an http(s) address with a host that can be looked up, and a port that exists if it has one."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:  # UnicodeError is one
        return False
    return parts.scheme in ("http", "https") and bool(host)


def origin(url: str) -> str:
    """Scheme, host and port of a URL, fit to be shown: without a user name, password, path or query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
