"""Small GGUF files, written by the specification."""

import struct
from typing import Any

U32, STRING, ARRAY = 4, 8, 9


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, value: Any) -> bytes:
    """A metadata entry: text, a whole number, or a list of texts."""
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(text, value))
    return text(key) + struct.pack("<II", U32, value)


def gguf_file(
    metadata: dict[str, Any], tensors: list[tuple[str, tuple[int, ...], int, int]], *, data: int | None = None
) -> bytes:
    """A GGUF file of tensors (name, shape, type, bytes), with zeros for weights, or just `data` bytes of them."""
    offset, records = 0, b""
    for name, shape, kind, size in tensors:
        dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        records += text(name) + dimensions + struct.pack("<IQ", kind, offset)
        offset += -(-size // 32) * 32
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(entry(key, value) for key, value in metadata.items()) + records
    return head + b"\0" * (-len(head) % 32) + b"\0" * (offset if data is None else data)


def mixture() -> bytes:
    """A mixture of 8 experts, of which 2 work on a token."""
    metadata = {
        "general.architecture": "olmoe",
        "general.name": "Tiny mixture",
        "olmoe.context_length": 4096,
        "olmoe.block_count": 1,
        "olmoe.attention.head_count": 4,
        "olmoe.expert_count": 8,
        "olmoe.expert_used_count": 2,
        "tokenizer.ggml.tokens": ["<s>", "a", "b"],
        "tokenizer.chat_template": "{{ messages }}",
    }
    tensors = [
        ("token_embd.weight", (32, 3), 0, 384),
        ("blk.0.ffn_up_exps.weight", (32, 32, 8), 8, 8704),
        ("blk.0.ffn_gate_inp.weight", (32, 8), 1, 512),
    ]
    return gguf_file(metadata, tensors)
