"""Fetch one address into a file, going on after the bytes that an earlier attempt, even a killed one, left there."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from seriatim.errors import ModelError
from seriatim.models.transport import origin, send, why

if TYPE_CHECKING:
    import httpx


def fetch(
    client: "httpx.Client",
    url: str,
    part: Path,
    *,
    headers: Mapping[str, str] | None = None,
    size: int | None = None,
    retries: int = 3,
    show: Callable[[int], None] = lambda _: None,
) -> None:
    """Fetch `url` into `part`. The file is complete on return; its content is for the caller to check.

    `size` is how long it must be in the end, where that is known; `show` is told how many bytes are there. A broken
    connection is taken up again as long as it brings bytes. Raises `ModelError` where the server cannot be reached or
    refuses, and `OSError` where the file cannot be written.
    """
    import httpx

    done = size is not None and length(part) == size
    while not done:
        before = length(part)
        try:
            done = _receive(client, url, part, headers or {}, size, retries if before == 0 else max(retries, 3), show)
        except httpx.RequestError as error:
            if length(part) <= before:
                raise ModelError(f"{origin(url)} {why(error)}") from error
    _etag_of(part).unlink(missing_ok=True)


def length(path: Path) -> int:
    """How many bytes a file has; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _receive(
    client: "httpx.Client",
    url: str,
    part: Path,
    headers: Mapping[str, str],
    size: int | None,
    retries: int,
    show: Callable[[int], None],
) -> bool:
    """One request; returns whether the file is whole now."""
    have, etag = length(part), _etag_of(part)
    asked = {**headers, "Accept-Encoding": "identity"}
    if have:
        asked["Range"] = f"bytes={have}-"
        if etag.exists():
            asked["If-Range"] = etag.read_text()
    request = client.build_request("GET", url, headers=asked)
    with closing(send(client, request, retries=retries, follow_redirects=True)) as response:
        goes_on = response.status_code == 206
        if response.status_code == 416 or (goes_on and not _range_of(response).startswith(f"bytes {have}-")):
            if _range_of(response) == f"bytes */{have}":
                return True
            part.unlink()  # longer than what the server has, so not the same file: from the beginning
            return False
        if not goes_on and response.status_code != 200:
            raise ModelError(refusal(response, url))
        if not goes_on:
            told = response.headers.get("content-length", "")
            if size is not None and told.isdecimal() and int(told) != size:  # a login page, say; what is here stays
                raise ModelError(f"{origin(url)} sent something else: {told} bytes instead of {size}")
            have = 0
            _keep_etag(etag, response.headers.get("etag", ""))
        with part.open("ab" if goes_on else "wb") as target:
            for block in response.iter_bytes():
                have += len(block)
                if size is not None and have > size:
                    raise ModelError(f"{origin(url)} sent more than the {size} bytes that {part.stem} has")
                target.write(block)
                show(have)
    return True


def _range_of(response: "httpx.Response") -> str:
    return str(response.headers.get("content-range", ""))


def _etag_of(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _keep_etag(file: Path, etag: str) -> None:
    """If-Range takes only strong tags, which promise the same bytes."""
    if etag and not etag.startswith("W/"):
        file.write_text(etag)
    else:
        file.unlink(missing_ok=True)


def refusal(response: "httpx.Response", url: str) -> str:
    """Why a server gave no file, in one line for people."""
    said = {
        401: "wants a login: set HF_TOKEN for a closed model on the hub",
        403: "refuses access: set HF_TOKEN for a closed model on the hub",
        404: "has no such file",
        429: "has too many requests: wait a while",
    }.get(response.status_code, "failed")
    return f"{origin(url)} {said} (HTTP {response.status_code})"
