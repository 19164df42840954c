import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seriatim.errors import TrainingError, UsageError
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


def test_a_text_that_is_none_is_told_and_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    deep = '{"text": ' + "[" * 200_000 + "]" * 200_000 + "}"
    for row, told in ((r'{"text": "a \ud800"}', "half of a surrogate pair in 'text'"), (deep, "nested too deep")):
        file.write_text('{"text": "a"}\n' + row + '\n{"text": "b"}\n')
        with pytest.raises(TrainingError, match=f"rows.jsonl, line 2: .*{told}"):
            list(sources.texts(file))
        assert list(sources.texts(file, skip=True)) == ["a", "b"]


def test_a_string_of_parquet_that_is_no_utf_8_is_told_and_left_out(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    from pyarrow import parquet

    ends = pyarrow.py_buffer(np.array([0, 1, 2, 3], np.int32).tobytes())
    texts = pyarrow.StringArray.from_buffers(3, ends, pyarrow.py_buffer(b"a\xffb"))
    parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "a.parquet")
    with pytest.raises(TrainingError, match=r"a.parquet, row 2: not UTF-8"):
        list(sources.texts(tmp_path / "a.parquet"))
    assert list(sources.texts(tmp_path / "a.parquet", skip=True)) == ["a", "b"]


def test_a_suffix_says_what_a_file_is_whatever_its_case(tmp_path: Path) -> None:
    names = ("A.JSONL", "b.ndjson", "c.jsonl")
    (tmp_path / "blob").write_text('{"text": "a"}\n')
    for name in names:  # a link keeps its own name, as those in the cache of Hugging Face must
        (tmp_path / name).symlink_to("blob")
    for hidden in (".d.jsonl", "e.json"):
        (tmp_path / hidden).write_text('{"text": "b"}\n')
    for named in ([tmp_path], [tmp_path / name for name in names], [tmp_path / "*.JSONL", tmp_path / "?.*l", tmp_path]):
        found = sources.files(named)
        assert sorted(file.name for file in found) == sorted(names)
        assert [text for file in found for text in sources.texts(file)] == ["a"] * 3


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.JSON", "a.JSON: turn it into JSONL"),
        ("a.csv", "a.csv: turn it into JSONL"),
        ("a.jsonl.gz", "a.jsonl.gz: unpack it"),
        ("*.csv", "a.csv: turn it into JSONL"),
        ("-", "standard input cannot be trained on"),
        ("empty", r"a folder without any document; Seriatim reads \.txt .* \.jsonl \.ndjson \.parquet"),
    ],
)
def test_what_is_no_text_to_learn_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    for each in ("a.JSON", "a.csv", "a.jsonl.gz"):
        Path(each).write_text('{"text": "a"}\n')
    with pytest.raises(UsageError, match=told):
        sources.files([name])
