"""What stands before every route: who may ask (Host, Origin, token), how much, what browsers may do."""

import asyncio
import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seriatim.server.clients import is_address, network
from seriatim.server.entrance import entrance_form
from seriatim.server.errors import error_response
from seriatim.server.metrics import Metrics
from seriatim.server.settings import MIB, Settings, is_this_machine

COOKIE = "seriatim_token"
_CLIENTS = 4096
_BURST = 5
_SLOWEST = 16_000  # bytes a second
_UPLOADS = re.compile(r"/api/libraries/[^/]+/documents")

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered; `reason` is the word that is counted."""

    status: int
    reason: str
    message: str
    retry_after_s: int = 5


class Guard:
    """ASGI middleware around the whole application. It takes no body into memory, and its checks come before any."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        limits = settings.limits
        self._rate = _Buckets(limits.requests_per_s, _BURST * limits.requests_per_s)
        self._wrong_tokens = _Buckets(limits.wrong_tokens_per_min / 60, limits.wrong_tokens_per_min)
        self._last_wrong: OrderedDict[str, bytes] = OrderedDict()
        self._uploading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no web sockets here
        headers = Headers(scope=scope)
        send = self._counted(_with_headers(send))
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await self._refuse(scope, receive, send, refusal)
        elif entrance := self._entrance(scope):
            await entrance(scope, receive, send)
        else:
            await self._limited(scope, headers, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Why a request is not let in; what it costs to find out does not depend on what it holds."""
        size = sum(len(name) + len(value) for name, value in headers.raw) + len(scope["query_string"])
        if size + len(scope["raw_path"]) > self._settings.limits.header_bytes:
            return Refusal(431, "head", "the request's head is too large; send fewer and shorter headers")
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if not self._host_is_ours(host):
            return Refusal(
                421, "host", "this server does not answer to that name; use 127.0.0.1, or allow it with --allow-host"
            )
        origins = headers.getlist("origin")
        if origins and (len(origins) > 1 or not _same_origin(origins[0], host)):
            return Refusal(403, "origin", "requests from other sites' pages are not answered")
        follows_a_link = headers.get("sec-fetch-mode") == "navigate" and scope["method"] in ("GET", "HEAD")
        if _from_another_site(headers) and not follows_a_link:
            return Refusal(403, "origin", "requests from other sites' pages are not answered")
        client = network(scope["client"][0] if scope.get("client") else "unknown")
        if not self._rate.take(client):
            return Refusal(429, "rate", "too many requests; slow down")
        # Apart, for any site may send a browser here with wrong tokens, and must not lock its user out.
        return self._token_refusal(scope, headers, f"{client} by links" if _from_another_site(headers) else client)

    def _token_refusal(self, scope: Scope, headers: Headers, client: str) -> Refusal | None:
        if self._settings.token is None:
            return None
        # Even the right token is not looked at once there were too many wrong ones: else guessing would go on.
        if not self._wrong_tokens.has(client):
            return Refusal(429, "token", "too many wrong tokens; wait a minute", retry_after_s=60)
        given = _given_token(scope, headers)
        if given is not None and hmac.compare_digest(given.encode(), self._settings.token.encode()):
            return None
        if given is not None and self._is_a_guess(client, given):
            self._wrong_tokens.take(client)
        what = "a token is needed" if given is None else "this token is wrong"
        return Refusal(
            401, "token", f"{what}: send 'Authorization: Bearer TOKEN', or open /?token=TOKEN in the browser"
        )

    def _is_a_guess(self, client: str, wrong: str) -> bool:
        """Whether a wrong token is another than the client's last one: a page left open with the token of an earlier
        start sends the same one for ever, and must not lock out who has the right one."""
        digest = hashlib.sha256(wrong.encode()).digest()
        was = self._last_wrong.pop(client, None)
        self._last_wrong[client] = digest
        if len(self._last_wrong) > _CLIENTS:
            self._last_wrong.popitem(last=False)
        return digest != was

    def _entrance(self, scope: Scope) -> Response | None:
        """For the page's first visit: the token goes from the address into a cookie that no script can read."""
        if scope["path"] != "/" or self._settings.token is None or b"token=" not in scope["query_string"]:
            return None
        response = RedirectResponse("/", status_code=303)
        # Lax, for links to an answer are opened from other sites too: GET changes nothing, and whatever else comes from
        # another site has been refused before its token is looked at.
        response.set_cookie(COOKIE, quote(self._settings.token, safe=""), httponly=True, samesite="lax", path="/")
        return response

    def _host_is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            urlsplit(f"//{host}").port  # noqa: B018  (raises for a port that is none)
        except ValueError:
            return False
        if not host or set(host) & set("/?#@\\ "):
            return False
        if is_this_machine(name) or name in (each.lower() for each in self._settings.allowed_hosts):
            return True
        if is_this_machine(self._settings.host):
            return False
        # Reached over the network: a rebound name is a name, so a bare address is none.
        return is_address(name) or name == self._settings.host.lower()

    async def _limited(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        limits = self._settings.limits
        is_upload = _is_upload(scope, headers)
        most = limits.upload_bytes if is_upload else limits.body_bytes
        stated = headers.get("content-length", "0")
        less = "send fewer files at once, or split a large one" if is_upload else "send less at once"
        too_large = Refusal(413, "size", f"the request is larger than {most / MIB:g} MiB; {less}")
        if not stated.isdecimal() or int(stated) > most:
            await self._refuse(scope, receive, send, too_large)
            return
        if is_upload and self._uploading >= limits.uploads:
            crowded = Refusal(429, "uploads", "too many uploads at once; send this one again")
            await self._refuse(scope, receive, send, crowded)
            return
        body = _Body(receive, most, limits.body_s)
        self._uploading += is_upload

        async def unless_refused(message: Message) -> None:
            if body.fault is None:  # else what the application makes of its broken body is not the answer
                await send(message)

        try:
            await self._app(scope, body.receive, unless_refused)
        except _BrokenBody:
            pass
        finally:
            self._uploading -= is_upload
            if body.fault is not None:
                slow = Refusal(408, "slow", "the request came too slowly; send it again")
                await self._refuse(scope, receive, send, too_large if body.fault == "size" else slow)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
        self._metrics.refusals.labels(refusal.reason).inc()
        response: Response
        if scope["path"] == "/" and refusal.reason == "token" and "text/html" in Headers(scope=scope).get("accept", ""):
            response = entrance_form(refusal.status, refusal.message.partition(":")[0])
        elif scope["path"] == "/":
            response = PlainTextResponse(refusal.message + "\n", refusal.status)
        else:
            response = error_response(refusal.status, refusal.message, refusal.reason)
        if refusal.status == 401:
            response.headers["www-authenticate"] = "Bearer"
        if refusal.status == 429:
            response.headers["retry-after"] = str(refusal.retry_after_s)
        # Else a body that is still on its way would turn the answer into a reset.
        if refusal.status in (408, 413) or refusal.reason == "uploads":
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    def _counted(self, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(str(message["status"])).inc()
            await send(message)

        return counted


class _BrokenBody(Exception):
    """The body is larger, or comes more slowly, than is allowed."""


class _Body:
    """The receiving end of a request whose body has at most `most` bytes, and comes at 16 kB/s or faster after
    `patience_s`. `fault` says what was wrong with it."""

    def __init__(self, receive: Receive, most: int, patience_s: float) -> None:
        self._receive, self._most = receive, most
        self._deadline = time.monotonic() + patience_s
        self._received, self._complete = 0, False
        self.fault: Literal["size", "slow"] | None = None

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()  # comes when the client goes, however late
        try:
            # Not wait_for, which may take no notice of being cancelled where a message comes at that very moment.
            async with asyncio.timeout(self._deadline + self._received / _SLOWEST - time.monotonic()):
                message = await self._receive()
        except TimeoutError as error:
            self.fault = "slow"
            raise _BrokenBody from error
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._received > self._most:
                self.fault = "size"
                raise _BrokenBody
        return message


class _Buckets:
    """A token bucket for each client: `rate` a second, `burst` at once. Knows the last 4096 clients."""

    def __init__(self, rate: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._now = rate, burst, now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def has(self, client: str) -> bool:
        return self._level(client) >= 1

    def take(self, client: str) -> bool:
        """Take one; False where there is none."""
        level = self._level(client)
        taken = level >= 1
        self._levels.pop(client, None)
        self._levels[client] = (level - taken, self._now())
        if len(self._levels) > _CLIENTS:
            self._levels.popitem(last=False)
        return taken

    def _level(self, client: str) -> float:
        level, at = self._levels.get(client, (self._burst, self._now()))
        return min(self._burst, level + (self._now() - at) * self._rate)


def _given_token(scope: Scope, headers: Headers) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    if scope["path"] == "/" and (asked := parse_qs(scope["query_string"].decode("latin-1")).get("token")):
        return str(asked[0])
    # As lenient as browsers are: what other programs of this machine's name set is sent along, and may be anything.
    cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return unquote(cookie) if cookie else None


def _is_upload(scope: Scope, headers: Headers) -> bool:
    """Whether the files in a body go to the disk as they come. All other bodies stand in memory, whatever they are."""
    is_form = headers.get("content-type", "").startswith("multipart/form-data")
    return is_form and scope["method"] == "POST" and _UPLOADS.fullmatch(scope["path"]) is not None


def _same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() and not parts.path


def _from_another_site(headers: Headers) -> bool:
    return headers.get("sec-fetch-site") in ("cross-site", "same-site")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
