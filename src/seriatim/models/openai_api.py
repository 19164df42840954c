"""The way to an OpenAI-compatible address: its key, its models, its answers, and what its refusals mean."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from seriatim.errors import ModelError, UsageError
from seriatim.models.transport import Lines, event_lines, is_address, open_client, origin, send, why

if TYPE_CHECKING:
    import httpx

CONNECT_S = 10.0


class Api:
    """The way to one address: whom to ask, with what key, how patiently, and what its refusals mean."""

    def __init__(self, base_url: str, *, api_key: str | None, timeout_s: float, retries: int) -> None:
        if not is_address(base_url):
            raise UsageError(f"{base_url!r} is not an address: give one like http://localhost:8000/v1")
        parts = urlsplit(base_url)
        self.shown = origin(base_url)
        self._base = base_url.rstrip("/") + ("" if parts.path.strip("/") else "/v1")
        self._address = self.shown + urlsplit(self._base).path  # for people: without a password that may stand in it
        self._retries, self._timeout_s = retries, timeout_s
        key = _key_for(base_url, api_key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._lines = Lines()
        self._client = open_client(
            connect_s=min(CONNECT_S, timeout_s),
            read_s=timeout_s,
            headers=headers,
            proxied=not _is_this_machine(parts.hostname or ""),
        )

    def served(self, model: str | None) -> Mapping[str, Any]:
        """What `/models` says of a model; of the only one there, when none is asked for."""
        try:
            answer = self.ask("models", None, model)
            served = {str(entry["id"]): entry for entry in answer["data"]}
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{self.shown} sent a list of models that cannot be read: is it OpenAI-compatible?"
            ) from error
        except _NotFound:
            served = {}  # some servers have no list; then the name is taken on trust
        if model is not None:
            return served.get(model) or {"id": model}
        if len(served) != 1:
            some = ", ".join(list(served)[:8]) or "none"
            raise UsageError(
                f"{self.shown} serves {len(served)} models ({some}): name one, as in {self._address}#MODEL"
            )
        return next(iter(served.values()))

    def ask(self, path: str, request: Mapping[str, Any] | None, model: str | None) -> Any:
        """The JSON that answers a GET (no `request`) or a POST."""
        with self._open(path, request, model) as response:
            try:
                return json.loads(self._read(response))
            except ValueError as error:
                raise ModelError(
                    f"{self.shown} sent something other than JSON: is {self._address} the right address?"
                ) from error

    def events(self, path: str, request: dict[str, Any], model: str) -> Iterator[Mapping[str, Any]]:
        """The JSON events of a streamed answer. Closing the iterator hangs up."""
        import httpx

        with self._open(path, request, model) as response:
            try:
                for line in event_lines(response):
                    data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                    if data == "[DONE]":
                        return
                    if data:
                        yield self._event(data)
            except httpx.RequestError as error:
                raise ModelError(f"{self.shown} {why(error)} in the middle of its answer: ask again") from error

    def hang_up(self) -> None:
        """Let whoever waits for an answer wake up with a `ModelError`. Any thread may call."""
        self._lines.hang_up()

    def close(self) -> None:
        self._client.close()

    def _event(self, data: str) -> Mapping[str, Any]:
        try:
            event = json.loads(data)
        except ValueError as error:
            raise ModelError(f"{self.shown} sent an event that is not JSON: is it OpenAI-compatible?") from error
        if not isinstance(event, dict):
            raise ModelError(f"{self.shown} sent an event that is not an object: is it OpenAI-compatible?")
        if event.get("error"):
            raise ModelError(f"{self.shown} failed in the middle of its answer: {_message(event)}")
        return event

    @contextmanager
    def _open(self, path: str, request: Mapping[str, Any] | None, model: str | None) -> Iterator["httpx.Response"]:
        """Send a request; yields the open response, which is a good one."""
        import httpx

        method = "GET" if request is None else "POST"
        traced = {"trace": self._lines.trace}
        sent = self._client.build_request(method, f"{self._base}/{path}", json=request, extensions=traced)
        self._lines.hung_up.clear()
        try:
            response = send(self._client, sent, retries=self._retries, hung_up=self._lines.hung_up)
        except httpx.TimeoutException as error:
            raise ModelError(
                f"{self.shown} gave no answer within {self._timeout_s:g} s: it may be overloaded; ask again, or shorter"
            ) from error
        except httpx.RequestError as error:
            raise ModelError(f"{self.shown} {why(error)}") from error
        with closing(response):
            if response.status_code != 200:
                raise self._refusal(response, model)
            yield response

    def _read(self, response: "httpx.Response") -> bytes:
        import httpx

        try:
            return response.read()
        except httpx.RequestError as error:
            raise ModelError(f"{self.shown} {why(error)} in the middle of its answer: ask again") from error

    def _refusal(self, response: "httpx.Response", model: str | None) -> ModelError:
        try:
            message = _message(json.loads(self._read(response)))
        except ValueError:
            message = response.text[:200]
        status = response.status_code
        said = f": {' '.join(message.split())}" if message else ""
        if status in (401, 403):
            return ModelError(f"{self.shown} refuses the key (HTTP {status}{said}): check SERIATIM_API_KEY")
        if status in (404, 405):
            what = f"the model {model}, or nothing at {self._address}" if model else f"nothing at {self._address}"
            return _NotFound(f"{self.shown} does not have {what} (HTTP {status}{said}): check the address and the name")
        if status == 429:
            return ModelError(
                f"{self.shown} has too many requests, or the quota is spent (HTTP 429{said}): wait a while"
            )
        if status >= 500:
            return ModelError(f"{self.shown} failed (HTTP {status}{said}): look at the server, or ask again later")
        if 300 <= status < 400:
            onward = urlsplit(urljoin(str(response.url), response.headers.get("location", "")))
            return ModelError(f"{self.shown} sends on to {origin(onward.geturl())}{onward.path}: use that address")
        return ModelError(f"{self.shown} refused the request (HTTP {status}{said})")


class _NotFound(ModelError):
    """The address or the model does not exist."""


def _message(answer: Any) -> str:
    """What an error answer says; servers disagree on where they say it."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return str(error)[:300]


def _key_for(base_url: str, asked: str | None) -> str | None:
    """The key to send: one given for this address must not cross the net in the clear; OpenAI's is left out then."""
    key = (asked or os.environ.get("SERIATIM_API_KEY") or "").strip()
    if not key.isascii() or not key.isprintable():
        raise UsageError("the key for the endpoint holds characters that no key has: set SERIATIM_API_KEY again")
    parts = urlsplit(base_url)
    in_the_clear = parts.scheme == "http" and not _is_this_machine(parts.hostname or "")
    if key and in_the_clear:
        raise UsageError(f"{origin(base_url)} would get the key unencrypted: use https, or a tunnel to localhost")
    return key or (None if in_the_clear else os.environ.get("OPENAI_API_KEY", "").strip()) or None


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
