import gzip
import io
from pathlib import Path

import pytest

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation.reasoning import gsm8k, humaneval, mmlu
from seriatim.evaluation.reasoning.problems import ReasoningTask, fetched_problems, read_problems
from tests.evaluation.data import write_rows
from tests.evaluation.reasoning.scripted import GSM8K, HUMANEVAL, MMLU
from tests.models.file_server import Route, file_server


def test_a_file_its_folder_and_its_archive_are_the_same(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "test.jsonl", GSM8K)
    read = read_problems(gsm8k.TASK, file)
    assert len(read.problems) == 3
    assert read_problems(gsm8k.TASK, tmp_path) == read
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "test.jsonl.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert read_problems(gsm8k.TASK, packed) == read
    other = write_rows(tmp_path / "other.jsonl", GSM8K[:2])
    assert read_problems(gsm8k.TASK, other).sha256 != read.sha256


def test_a_larger_draw_holds_a_smaller_one(tmp_path: Path) -> None:
    rows = [{"question": str(n), "answer": f"#### {n}"} for n in range(50)]
    read = read_problems(gsm8k.TASK, write_rows(tmp_path / "test.jsonl", rows))
    few, more = read.draw(5, 1), read.draw(20, 1)
    assert set(few.problems) < set(more.problems)
    assert few.draw(5, 3) == few
    assert [int(each.text) for each in more.problems] == sorted(int(each.text) for each in more.problems)
    assert read.draw(5, 2) != few
    assert read.draw(None, 0) == read


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"question": "?"}, "not data of gsm8k .*answer"),
        ({"question": 1, "answer": "#### 1"}, "question must be text"),
        ({"question": "?", "answer": "one"}, "no number after ####"),
    ],
)
def test_other_data_is_told(tmp_path: Path, row: dict[str, object], told: str) -> None:
    with pytest.raises(SeriatimError, match=told):
        read_problems(gsm8k.TASK, write_rows(tmp_path / "test.jsonl", [row]))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read from"):
        read_problems(gsm8k.TASK, tmp_path)
    (tmp_path / "test.jsonl").write_text("")
    with pytest.raises(UsageError, match="holds no problem"):
        read_problems(gsm8k.TASK, tmp_path)
    (tmp_path / "x.gz").write_bytes(b"no archive")
    with pytest.raises(SeriatimError, match="damaged"):
        read_problems(gsm8k.TASK, tmp_path / "x.gz")
    packed = bytearray(gzip.compress(b"{}" * 99))
    packed[12] ^= 0xFF
    (tmp_path / "x.gz").write_bytes(packed)
    with pytest.raises(SeriatimError, match="damaged"):
        read_problems(gsm8k.TASK, tmp_path / "x.gz")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"choices": ["a"]}, "four choices were expected, not 1"),
        ({"choices": "abcd"}, "choices must be a list of texts, not 'abcd'"),
        ({"choices": [1, 2, 3, 4]}, "choices must be text, not 1"),
        ({"answer": -1}, "answer must be a number from 0 to 3, not -1"),
        ({"answer": "B"}, "answer must be a number from 0 to 3, not 'B'"),
    ],
)
def test_other_choices_are_told(tmp_path: Path, row: dict[str, object], told: str) -> None:
    with pytest.raises(SeriatimError, match=f"not data of mmlu .{told}"):
        read_problems(mmlu.TASK, write_rows(tmp_path / "m.jsonl", [MMLU[0] | row]))


def test_problems_need_ids_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(SeriatimError, match="several questions with the id HumanEval/900"):
        read_problems(humaneval.TASK, write_rows(tmp_path / "h.jsonl", HUMANEVAL * 2))


@pytest.mark.parametrize(("task", "rows"), [(gsm8k.TASK, GSM8K), (mmlu.TASK, MMLU)])
def test_the_hub_gives_the_same_problems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task: ReasoningTask, rows: list[dict[str, object]]
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    base = f"/datasets/{task.hub.repository}/resolve/{task.hub.revision}/"
    with file_server() as server:
        for split, name in task.hub.files.items():
            body = io.BytesIO()
            held = [{k: v for k, v in row.items() if k != "split"} for row in rows if row.get("split", split) == split]
            parquet.write_table(pyarrow.Table.from_pylist(held), body)
            server.routes[base + name] = Route(body.getvalue())
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert fetched_problems(task) == read_problems(task, write_rows(tmp_path / "local.jsonl", rows))


def test_a_hub_out_of_reach_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SeriatimError, match=r"give test\.jsonl with --data"):
        fetched_problems(gsm8k.TASK)
