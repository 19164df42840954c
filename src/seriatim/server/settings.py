"""How a server is set up, and what it allows."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from seriatim.errors import UsageError
from seriatim.home import home
from seriatim.models.generator import Generator
from seriatim.models.opening import open_generator
from seriatim.progress import Progress
from seriatim.retrieval import embedders
from seriatim.server.clients import is_address

MIB = 1 << 20
DEFAULT_PORT = 8765
PASSAGE_TOKENS = 8192  # the most that a question may ask to be read; the model is given a context for them
QUESTION_CHARACTERS = 20_000  # the page's field for it says so too
COMPLETION_TOKENS = 4096  # the most that a bare model writes at once
_HOST = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, or all together, may ask of the server.

    Sizes are in bytes, times in seconds. `uploads` bounds the requests whose files are on their way, `waiting` the
    questions that wait for the model, `waiting_per_client` those of one program at one address; `searches` and
    `pictures` (of a PDF's pages) those that run or wait; `text_bytes` the text of one document; `requests_per_s` is
    what one address may send on average, in bursts of five times as many.
    """

    body_bytes: int = 2 * MIB
    upload_bytes: int = 256 * MIB
    upload_files: int = 100
    uploads: int = 32
    header_bytes: int = 32 * 1024
    header_s: float = 10.0
    body_s: float = 30.0
    connections: int = 2000
    waiting: int = 64
    waiting_per_client: int = 16
    searches: int = 64
    pictures: int = 32
    indexing: int = 1000
    text_bytes: int = 32 * MIB  # indexing takes a few seconds and up to 70 MB of memory for each of these
    requests_per_s: float = 300.0
    wrong_tokens_per_min: int = 20
    libraries: int = 1000


OpenModel = Callable[[str, Progress], Generator]
"""Opens the model of a name, and tells how far it has come where that takes long."""


def _opened(model: str, progress: Progress) -> Generator:
    return open_generator(model, passage_tokens=PASSAGE_TOKENS, progress=progress)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is set up. `model` and `embedder` are as on the command line; None stands for the default.

    Raises `UsageError` for an address or an allowed host beyond this machine without a token, for what is no host's
    name, and for an embedder that there is none of.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    home: Path = field(default_factory=home)
    model: str | None = None
    embedder: str | None = None
    open_model: OpenModel = _opened
    limits: Limits = field(default_factory=Limits)
    stop_s: float = 30.0

    def __post_init__(self) -> None:
        if self.token is not None and not (8 <= len(self.token) <= 512 and self.token.isascii()):
            raise UsageError("a token has 8 to 512 ASCII characters; make one with: openssl rand -hex 32")
        for name in self.allowed_hosts:
            if not _HOST.fullmatch(name) and not is_address(name):
                raise UsageError(f"{name!r} is no host's name; give one like seriatim.example.org, without http://")
        for name in (self.host, *self.allowed_hosts):
            if self.token is None and not is_this_machine(name):
                raise UsageError(
                    f"{name} can be reached from other machines, so a token is needed: set SERIATIM_TOKEN, "
                    "for example to the output of `openssl rand -hex 32`"
                )
        if self.embedder:
            embedders.checked(self.embedder)


def is_this_machine(host: str) -> bool:
    """Whether a host name or address stands for this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
