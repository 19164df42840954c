"""Which files hold a model's weights, and what their headers say of them: read without PyTorch.

A folder comes from strangers: what it lists are safetensors files beside the listing, or it is refused.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from seriatim.errors import ModelError

WEIGHTS_FILE, INDEX_FILE, INT8_FILE = "model.safetensors", "model.safetensors.index.json", "int8.json"
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
"""The types that a checkpoint's weights may be stored in, by their names in safetensors."""

# What holds the names of the files, and what to do where it is damaged.
_KEYS = {INDEX_FILE: ("weight_map", "fetch it again"), INT8_FILE: ("files", "pack the model again")}


class Listing(NamedTuple):
    """The files with a model's weights, in order: those that are `here`, and the names of those that are `missing`.

    `weight_map` says which tensor is in which file, where an index tells.
    """

    here: tuple[Path, ...]
    missing: tuple[str, ...]
    weight_map: Mapping[str, str]


class Stored(NamedTuple):
    """A tensor as a file's header describes it; `dtype` is its name in safetensors."""

    path: Path
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * itemsize(self.dtype)


def listing(folder: Path) -> Listing:
    """The files with the weights of the model in `folder`; where nothing lists any, `model.safetensors` is missing.

    Raises `ModelError` for a listing that is damaged, or names a file that is not beside it.
    """
    if (folder / WEIGHTS_FILE).exists():
        return Listing((folder / WEIGHTS_FILE,), (), {})
    path = next((folder / name for name in _KEYS if (folder / name).exists()), None)
    if path is None:
        return Listing((), (WEIGHTS_FILE,), {})
    listed = _listed(path)
    weight_map = listed if path.name == INDEX_FILE else {}
    names = sorted(set(weight_map.values() or listed))
    for name in names:
        if not name.endswith(".safetensors") or Path(name).name != name or "\\" in name:
            raise ModelError(f"{path} names {name!r}: only safetensors files beside it are read")
    here = tuple(folder / name for name in names if (folder / name).is_file())
    return Listing(here, tuple(name for name in names if folder / name not in here), weight_map)


def header(path: Path) -> Iterator[tuple[str, Stored]]:
    """Each tensor in a safetensors file, by name, without its values."""
    with opened(path, "np") as weights:
        for name in weights.keys():  # noqa: SIM118 (it is no mapping)
            tensor = weights.get_slice(name)
            yield name, Stored(path, tensor.get_dtype(), tuple(tensor.get_shape()))


def opened(path: Path, framework: str) -> Any:
    """The safetensors file `path`, whose header and length safetensors checks; `framework` "pt" gives PyTorch's."""
    try:
        return safe_open(path, framework=framework)
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged or incomplete ({error}): fetch it again") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def itemsize(dtype: str) -> int:
    """Bytes of one value of a type such as "BF16", "float32" or "F8_E4M3": its first number counts bits."""
    bits = "".join(each if each.isdigit() else " " for each in dtype).split()
    return int(bits[0]) // 8 if bits else 1


def _listed(path: Path) -> dict[str, Any]:
    """What a listing says of each name; of an index, which file each tensor is in."""
    key, remedy = _KEYS[path.name]
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))[key]
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: it holds no {key}; {remedy}") from error
    if not isinstance(listed, dict) or not listed:
        raise ModelError(f"{path} is damaged: its {key} does not name files; {remedy}")
    if path.name == INDEX_FILE and not all(isinstance(name, str) for name in listed.values()):
        raise ModelError(f"{path} is damaged: its {key} does not name files; {remedy}")
    return listed
