"""Read what a GGUF file says about itself, without loading it.

The format: a header (magic, version, counts), metadata as typed key-value pairs, one record for every tensor, then the
tensors' data. Every length and count is checked against the file before it is believed, since files come from
strangers. Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seriatim.errors import ModelError

# Tensor types: number -> (name, elements in a block, bytes in a block).
TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}

# Metadata types: number -> struct format. 8 is a string, 9 an array.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

# Far above any real model, and low enough that a hostile file is refused at once.
_MOST_ENTRIES = 1 << 16
_MOST_TENSORS = 1 << 20
_MOST_ITEMS = 1 << 24
_LONGEST_STRING = 1 << 24


@dataclass(frozen=True, slots=True)
class GgufInfo:
    """What a GGUF file holds. Numbers that the file does not state are None."""

    path: Path
    file_bytes: int
    architecture: str
    name: str
    parameters: int
    active_parameters: int  # the parameters one token passes through; fewer than all in a mixture of experts
    quantisation: Mapping[str, int]  # tensor type -> bytes, the largest share first
    context_tokens: int | None
    layers: int | None
    heads: int | None
    vocabulary: int | None
    experts: int | None
    experts_used: int | None
    pooling: int | None  # how an embedding model pools its tokens, as llama.cpp numbers it
    chat_template: bool


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    elements: int
    kind: int
    offset: int


def inspect(path: str | Path) -> GgufInfo:
    """Read a GGUF file's header. Raises `ModelError` for a file that is missing, truncated or not GGUF."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise ModelError(f"{path} is a folder: name the .gguf file in it")
        if size < 24:
            raise ModelError(f"{path} is not a GGUF model: it has only {size} bytes")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(path, data, size)
    except FileNotFoundError:
        raise ModelError(
            f"there is no model file {path}: check the path, or see `seriatim model list` for models to pull"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(path: Path, data: mmap.mmap, size: int) -> GgufInfo:
    reader = _Reader(path, data, size)
    if data[:4] != b"GGUF":
        raise ModelError(f"{path} is not a GGUF model: its first bytes are {bytes(data[:4])!r}, not b'GGUF'")
    reader.position = 4
    version = reader.number("<I")
    if version not in (2, 3):
        raise ModelError(f"{path} is GGUF of version {version}; versions 2 and 3 (little-endian) can be read")
    tensor_count = reader.count("<Q", _MOST_TENSORS, "tensors")
    entry_count = reader.count("<Q", _MOST_ENTRIES, "metadata entries")
    metadata = {}
    for _ in range(entry_count):
        key = reader.string()
        metadata[key] = reader.value(int(reader.number("<I")))
    tensors = [reader.tensor() for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0:
        raise ModelError(f"{path} is damaged: its tensors are aligned to {alignment!r} bytes")
    start = -(-reader.position // alignment) * alignment
    return _describe(path, size, metadata, tensors, _tensor_bytes(path, tensors, size - start))


class _Reader:
    """A position in a file's bytes, from which numbers and strings are read with every length checked."""

    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self.path, self.data, self.size = path, data, size
        self.position = 0

    def skip(self, length: int) -> int:
        """Pass over `length` bytes; returns where they begin."""
        start = self.position
        if length > self.size - start:
            raise ModelError(
                f"{self.path} is damaged or incomplete: its header goes on past the end of the file; fetch it again"
            )
        self.position = start + length
        return start

    def number(self, form: str) -> int | float | bool:
        number: int | float | bool = struct.unpack_from(form, self.data, self.skip(struct.calcsize(form)))[0]
        return number

    def count(self, form: str, most: int, what: str) -> int:
        count = int(self.number(form))
        if count > most:
            raise ModelError(f"{self.path} is damaged: it claims to hold {count} {what}; fetch it again")
        return count

    def string(self) -> str:
        length = self.count("<Q", _LONGEST_STRING, "characters in one string")
        start = self.skip(length)
        return self.data[start : start + length].decode("utf-8", "replace")

    def value(self, kind: int) -> int | float | str:
        """One metadata value; of an array, its length, since no array's items are needed here."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            item, count = int(self.number("<I")), self.count("<Q", _MOST_ITEMS, "items in one array")
            if item == _STRING:
                for _ in range(count):
                    self.skip(self.count("<Q", _LONGEST_STRING, "characters in one string"))
            else:
                self.skip(count * struct.calcsize(self._form(item)))
            return count
        return self.number(self._form(kind))

    def _form(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise ModelError(f"{self.path} is damaged: it has metadata of an unknown type {kind}; fetch it again")
        return _SCALARS[kind]

    def tensor(self) -> _Tensor:
        name = self.string()
        dimensions = [int(self.number("<Q")) for _ in range(self.count("<I", 4, "dimensions in one tensor"))]
        kind, offset = int(self.number("<I")), int(self.number("<Q"))
        return _Tensor(name, math.prod(dimensions), kind, offset)


def _tensor_bytes(path: Path, tensors: list[_Tensor], room: int) -> Counter[str]:
    """Bytes by tensor type. Raises `ModelError` where a tensor would end past the `room` bytes of data."""
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        name, block, block_bytes = TENSOR_TYPES.get(tensor.kind, (f"type {tensor.kind}", 1, 0))
        length = tensor.elements // block * block_bytes
        if tensor.offset + length > room:
            raise ModelError(
                f"{path} is incomplete: tensor {tensor.name!r} ends {tensor.offset + length - room} bytes past the "
                "end of the file; fetch it again"
            )
        sizes[name] += length
    return sizes


def _describe(
    path: Path,
    size: int,
    metadata: Mapping[str, int | float | str],
    tensors: list[_Tensor],
    tensor_bytes: Counter[str],
) -> GgufInfo:
    architecture = str(metadata.get("general.architecture", "unknown"))

    def stated(key: str) -> int | None:
        value = metadata.get(f"{architecture}.{key}")
        return value if isinstance(value, int) else None

    experts, used = stated("expert_count"), stated("expert_used_count")
    in_experts = sum(tensor.elements for tensor in tensors if "_exps." in tensor.name)
    parameters = sum(tensor.elements for tensor in tensors)
    idle = in_experts - in_experts * used // experts if experts and used else 0
    vocabulary = metadata.get("tokenizer.ggml.tokens", stated("vocab_size"))
    return GgufInfo(
        path=path,
        file_bytes=size,
        architecture=architecture,
        name=str(metadata.get("general.name", path.stem)),
        parameters=parameters,
        active_parameters=parameters - idle,
        quantisation=dict(tensor_bytes.most_common()),
        context_tokens=stated("context_length"),
        layers=stated("block_count"),
        heads=stated("attention.head_count"),
        vocabulary=vocabulary if isinstance(vocabulary, int) else None,
        experts=experts,
        experts_used=used,
        pooling=stated("pooling_type"),
        chat_template="tokenizer.chat_template" in metadata,
    )
