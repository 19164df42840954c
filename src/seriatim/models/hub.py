"""The Hugging Face hub: its addresses, and what it says about a repository's files.

`HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean to the hub's own client.
Source: https://huggingface.co/docs/hub/api
"""

import os
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seriatim.errors import ModelError
from seriatim.models.catalog import Hub, ModelFile, Snapshot
from seriatim.models.resumable import refusal
from seriatim.models.transport import is_address, origin, send, why

if TYPE_CHECKING:
    import httpx

# What a checkpoint is made of. Pickles (.bin, .pt), which can run code, and pictures stay where they are.
_KINDS = (".json", ".safetensors", ".jinja")
_NEEDED = ("config.json", "tokenizer.json")


def address() -> str:
    """The hub's address, without a slash at its end. Raises `ModelError` where it may not be asked, or is none."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise ModelError("HF_HUB_OFFLINE keeps the hub from being asked")
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if not is_address(hub):
        raise ModelError(f"HF_ENDPOINT {hub!r} is not an http(s) address")
    return hub.rstrip("/")


def headers() -> dict[str, str]:
    """What a request carries: the token, where there is one. httpx takes it off on the way to another host."""
    token = os.environ.get("HF_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def file_url(file: Hub) -> str:
    """Where a file's bytes are."""
    return f"{address()}/{file.repo}/resolve/{file.revision}/{file.file}"


def list_files(client: "httpx.Client", snapshot: Snapshot) -> tuple[ModelFile, ...]:
    """The files of a checkpoint, with sizes and checksums. Raises `ModelError` where the hub cannot tell."""
    import httpx

    url = f"{address()}/api/models/{snapshot.repo}/tree/{snapshot.revision}"
    request = client.build_request("GET", url, headers=headers())
    try:
        with closing(send(client, request, retries=3, follow_redirects=True)) as response:
            response.read()
    except httpx.RequestError as error:
        raise ModelError(f"{origin(url)} {why(error)}") from error
    if response.status_code != 200:
        raise ModelError(refusal(response, url))
    try:
        files = tuple(_file(entry, snapshot) for entry in response.json() if _belongs(entry))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{origin(url)} sent a list of files that cannot be read") from error
    names = {file.name for file in files}
    if not names.issuperset(_NEEDED) or not any(name.endswith(".safetensors") for name in names):
        raise ModelError(f"{snapshot.repo} on {origin(url)} holds no checkpoint with safetensors and a tokenizer")
    return files


def _belongs(entry: dict[str, Any]) -> bool:
    path = entry["path"]
    return entry["type"] == "file" and Path(path).name == path and "\\" not in path and path.endswith(_KINDS)


def _file(entry: dict[str, Any], snapshot: Snapshot) -> ModelFile:
    """A large file has its SHA-256; a small one the id that git gives it."""
    name, large = entry["path"], entry.get("lfs")
    sha256, git_sha1 = (large["oid"], "") if large else ("", entry["oid"])
    if not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", sha256 or git_sha1):
        raise ValueError(f"{name} has no checksum")
    return ModelFile(name, int(entry["size"]), sha256, git_sha1, Hub(snapshot.repo, name, snapshot.revision))
