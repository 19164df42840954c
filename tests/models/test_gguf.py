import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seriatim.errors import ModelError
from seriatim.models import gguf
from tests.models.gguf_file import gguf_file, mixture, text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.gguf"


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelError) as raised:
        gguf.inspect(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_a_file_tells_what_it_holds(path: Path) -> None:
    path.write_bytes(mixture())

    info = gguf.inspect(path)

    experts, others = 32 * 32 * 8, 32 * 3 + 32 * 8
    assert (info.architecture, info.name) == ("olmoe", "Tiny mixture")
    assert info.file_bytes == path.stat().st_size
    assert info.parameters == experts + others
    assert info.active_parameters == experts * 2 // 8 + others
    assert list(info.quantisation.items()) == [("Q8_0", 8704), ("F16", 512), ("F32", 384)]
    assert (info.context_tokens, info.layers, info.heads, info.vocabulary) == (4096, 1, 4, 3)
    assert (info.experts, info.experts_used) == (8, 2)
    assert info.chat_template
    assert info.pooling is None


def test_a_file_that_states_little_has_gaps(path: Path) -> None:
    path.write_bytes(gguf_file({}, []))

    info = gguf.inspect(path)

    assert (info.architecture, info.name, info.parameters) == ("unknown", "tiny", 0)
    assert info.context_tokens is None
    assert not info.chat_template


@pytest.mark.model
def test_a_real_model_tells_what_it_holds(reader_path: Path) -> None:
    info = gguf.inspect(reader_path)

    assert (info.architecture, info.layers, info.heads, info.vocabulary) == ("llama", 30, 9, 49152)
    assert info.parameters == info.active_parameters == 134_515_008
    assert info.context_tokens == 8192
    assert info.chat_template


def test_what_is_no_gguf_is_told(path: Path) -> None:
    assert "only 0 bytes" in refusal(path, b"")
    assert "first bytes are b'PK" in refusal(path, b"PK\x03\x04" + b"x" * 100)
    assert "version 1;" in refusal(path, b"GGUF" + struct.pack("<IQQ", 1, 0, 0) + b"\0" * 9)
    assert "version 50331648;" in refusal(path, b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + b"\0" * 9)


def test_what_is_not_there_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model file"):
        gguf.inspect(path)
    with pytest.raises(ModelError, match="is a folder"):
        gguf.inspect(tmp_path)


def test_a_truncated_file_is_told(path: Path) -> None:
    whole = mixture()
    assert "tensor 'blk.0.ffn_gate_inp.weight' ends 1 bytes past the end" in refusal(path, whole[:-1])
    for length in range(24, len(whole), 97):
        assert "fetch it again" in refusal(path, whole[:length])


HUGE = (1 << 64) - 1


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<IQQ", 3, HUGE, 0),
        struct.pack("<IQQ", 3, 0, HUGE),
        struct.pack("<IQQQ", 3, 0, 1, HUGE),
        struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 8, HUGE),
        struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 12, 1 << 24),
        struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1),
        struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 99),
        struct.pack("<IQQ", 3, 1, 0) + text("t") + struct.pack("<I", 1 << 31),
        struct.pack("<IQQ", 3, 1, 0) + text("t") + struct.pack("<I4QIQ", 4, HUGE, HUGE, HUGE, HUGE, 0, HUGE),
        struct.pack("<IQQ", 3, 0, 1) + text("general.alignment") + struct.pack("<II", 4, 0),
        struct.pack("<IQQ", 3, 0, 1) + text("general.alignment") + struct.pack("<I", 8) + text("x"),
    ],
)
def test_hostile_counts_are_refused(path: Path, content: bytes) -> None:
    refusal(path, b"GGUF" + content + b"\0" * 64)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused(path: Path, changes: list[tuple[int, int]]) -> None:
    content = bytearray(mixture())
    for position, value in changes:
        content[position] = value
    path.write_bytes(content)
    with contextlib.suppress(ModelError):
        gguf.inspect(path)
