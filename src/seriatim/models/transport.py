"""HTTP as the models need it: the system's certificates, patience with busy servers, and failures in plain words."""

import math
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 529})
LONGEST_WAIT_S = 30.0


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
    client: "httpx.Client", request: "httpx.Request", *, retries: int, follow_redirects: bool = False
) -> "httpx.Response":
    """Send a request, again (at most `retries` times) while the server is busy, broken or not reached.

    The response is open: its body has not been read, and the caller closes it. Raises `httpx.RequestError` where
    no response came.
    """
    import httpx

    attempt = 0
    while True:
        try:
            response = client.send(request, stream=True, follow_redirects=follow_redirects)
        except (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError):
            if attempt >= retries:
                raise
            wait = _backoff_s(attempt)
        else:
            if attempt >= retries or response.status_code not in RETRIED_STATUSES:
                return response
            asked = retry_after_s(response.headers.get("retry-after"))
            wait = _backoff_s(attempt) if asked is None else min(asked, LONGEST_WAIT_S)
            response.close()
        time.sleep(wait)
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
    import socket

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
