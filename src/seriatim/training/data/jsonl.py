"""Lines of JSONL."""

import json
from typing import Any


def row(line: bytes | str) -> dict[str, Any]:
    """The object in a line. Raises `ValueError`, which says what is wrong with it, for what is none."""
    try:
        made = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    except RecursionError as error:
        raise ValueError("JSON that is nested too deep") from error
    if not isinstance(made, dict):
        raise ValueError("not a JSON object")
    return made
