import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seriatim.errors import TrainingError
from seriatim.training.data import sources


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=12), max_size=8), st.integers(1, 60), st.booleans())
def test_rows_are_read_once_and_in_order_wherever_a_part_ends(
    tmp_path: Path, texts: list[str], size: int, ended: bool
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts) + ("\n" if ended else ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "PART_BYTES", size)
        parts = sources.parts(file)
        assert all(part.end - part.start <= size for part in parts)
        assert list(sources.texts(file)) == texts


def test_a_line_is_named_by_its_number_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a"}\n\n' * 20 + '{"text"\n' + '{"text": "b"}\n')
    monkeypatch.setattr(sources, "PART_BYTES", 10)
    with pytest.raises(TrainingError, match="line 41: not JSON"):
        list(sources.texts(file))
    assert list(sources.texts(file, skip=True)) == ["a"] * 20 + ["b"]


def test_a_row_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"text": "a"}\n{"text": "\xff\xfe"}\n')
    with pytest.raises(TrainingError, match="line 2: not JSON"):
        list(sources.texts(file))
