"""Generations kept by what they were made from, so that the same prompt is never put to the same reader twice."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seriatim.errors import SeriatimError
from seriatim.home import home


def key_of(content: Mapping[str, Any]) -> str:
    """The address of what `content` (reader, messages, settings) determines: the SHA-256 of its canonical JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def kept(key: str) -> dict[str, Any] | None:
    """What was kept under `key`; None where nothing was, or only a part that cannot be read."""
    try:
        value = json.loads(_file(key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def keep(key: str, value: Mapping[str, Any]) -> None:
    """Keep `value` under `key`, whole or not at all. Raises `SeriatimError` where the disk does not take it."""
    file = _file(key)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as target:
                json.dump(value, target)
            os.replace(name, file)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise SeriatimError(f"the answer cannot be kept in {file.parent}: {error.strerror}") from error


def _file(key: str) -> Path:
    return home() / "cache" / "generations" / key[:2] / f"{key}.json"
