"""A repository on the Hugging Face hub, as a file server's routes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from seriatim.models.catalog import Snapshot
from tests.models.file_server import FileServer, Route

LARGE = 1000
"""From so many bytes on, files of a test are kept in large file storage, with a SHA-256."""


def publish_repository(server: FileServer, snapshot: Snapshot, files: Mapping[str, bytes]) -> dict[str, Route]:
    """Put `files` on the server; returns the route of each, and under "" that of the list of them."""
    base = f"/{snapshot.repo}/resolve/{snapshot.revision}"
    routes = {name: Route(body) for name, body in files.items()}
    server.routes |= {f"{base}/{name}": route for name, route in routes.items()}
    tree: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "original"}]
    tree += [_entry(name, body) for name, body in files.items()]
    routes[""] = Route(json.dumps(tree).encode(), content_type="application/json; charset=utf-8")
    server.routes[f"/api/models/{snapshot.repo}/tree/{snapshot.revision}"] = routes[""]
    return routes


def _entry(name: str, body: bytes) -> dict[str, Any]:
    if len(body) < LARGE:
        oid = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        return {"type": "file", "oid": oid, "size": len(body), "path": name}
    pointer = hashlib.sha1(b"the pointer of " + name.encode()).hexdigest()
    large = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}
    return {"type": "file", "oid": pointer, "size": len(body), "path": name, "lfs": large}
