"""What a folder may hold that is no run, or no longer one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from seriatim.errors import SeriatimError, UsageError
from seriatim.evaluation import cache, records

SETTINGS = {"task": "quality", "metric": "accuracy", "order": "document", "seed": 0}
ROW = {"question_id": "q", "document": "d", "tokens": 512, "context_tokens": 500, "coverage": None, "score": 1.0}


def a_folder(path: Path, settings: object = SETTINGS, rows: object = ROW) -> Path:
    (path / records.SETTINGS).write_text(settings if isinstance(settings, str) else json.dumps(settings))
    (path / records.ROWS).write_text(rows if isinstance(rows, str) else json.dumps(rows) + "\n")
    return path


def test_a_run_is_read(tmp_path: Path) -> None:
    run = records.read_run(a_folder(tmp_path))
    assert (run.settings, run.rows, run.budgets) == (SETTINGS, (ROW,), [512])


def test_further_budgets_and_questions_come_to_those_that_there_were(tmp_path: Path) -> None:
    first = SETTINGS | {"limit": 50, "tokens": [512], "machine": {"cores": 1}}
    a_folder(tmp_path, first)
    for change in ({"limit": 5, "tokens": [128], "machine": {"cores": 2}}, {"limit": 9, "tokens": [128]}):
        with records.opened(tmp_path, first | change):
            pass
    held = records.read_run(tmp_path).settings
    assert (held["limit"], held["tokens"], held["machine"]) == (50, [128, 512], {"cores": 1})
    assert held["earlier_machines"] == [{"cores": 2}]


def test_rows_without_settings_are_not_taken_for_another_runs(tmp_path: Path) -> None:
    (a_folder(tmp_path) / records.SETTINGS).unlink()
    with pytest.raises(SeriatimError, match=r"has rows, but run\.json is gone"), records.opened(tmp_path, SETTINGS):
        pass
    assert json.loads((tmp_path / records.ROWS).read_text()) == ROW
    assert not (tmp_path / records.SETTINGS).exists()


def test_a_folder_of_other_things_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("Call me Ishmael.")
    with pytest.raises(UsageError, match="holds other files and no run"), records.opened(tmp_path, SETTINGS):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["novel.txt"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("", r"run\.json is damaged"),
        ('{"task": "qual', r"run\.json is damaged"),
        ("[" * 100_000, r"run\.json is damaged"),
        ("[]", r"run\.json does not say task, metric, order of a run"),
        ({"task": "quality", "metric": None, "order": "document"}, "does not say task"),
    ],
)
def test_damaged_settings_are_told_and_left(tmp_path: Path, settings: object, told: str) -> None:
    a_folder(tmp_path, settings)
    before = (tmp_path / records.SETTINGS).read_text()
    with pytest.raises(SeriatimError, match=told):
        records.read_run(tmp_path)
    with pytest.raises(SeriatimError, match=told), records.opened(tmp_path, SETTINGS):
        pass
    assert (tmp_path / records.SETTINGS).read_text() == before


@pytest.mark.parametrize(
    "row",
    [
        "null", "3", "[]", "{}", ROW | {"tokens": "512"}, ROW | {"question_id": 3}, ROW | {"score": "1"},
        {name: value for name, value in ROW.items() if name != "coverage"},
    ],
)  # fmt: skip
def test_what_is_no_row_is_told_with_its_line(tmp_path: Path, row: object) -> None:
    bad = row if isinstance(row, str) else json.dumps(row)
    a_folder(tmp_path, rows=f"{json.dumps(ROW)}\n{bad}\n")
    with pytest.raises(SeriatimError, match=r"rows\.jsonl, line 2: not a row of a run; remove that line"):
        records.read_run(tmp_path)


@pytest.mark.parametrize("line", [b'{"half\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\n"])
def test_a_damaged_line_is_told_and_left(tmp_path: Path, line: bytes) -> None:
    a_folder(tmp_path)
    with (tmp_path / records.ROWS).open("ab") as file:
        file.write(line + b'{"cut')
    before = (tmp_path / records.ROWS).read_bytes()
    with pytest.raises(SeriatimError, match=r"rows\.jsonl, line 2: damaged"):
        records.read_run(tmp_path)
    with pytest.raises(SeriatimError, match=r"rows\.jsonl, line 2: damaged"), records.opened(tmp_path, SETTINGS):
        pass
    assert (tmp_path / records.ROWS).read_bytes() == before


def test_a_run_that_has_no_rows_yet_may_begin_otherwise(tmp_path: Path) -> None:
    other = SETTINGS | {"seed": 1}
    with records.opened(a_folder(tmp_path, rows=""), other) as (rows, file):
        assert rows == []
        records.append(file, ROW)
    with pytest.raises(UsageError, match="was made with seed 1, not 0"), records.opened(tmp_path, SETTINGS):
        pass


def test_a_file_is_no_run_and_cannot_become_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="there is no run in"):
        records.read_run(file)
    with pytest.raises(SeriatimError, match="cannot be written: File exists"), records.opened(file, SETTINGS):
        pass
    (tmp_path / records.SETTINGS).mkdir()
    with pytest.raises(SeriatimError, match=r"run\.json cannot be read: Is a directory"):
        records.read_run(tmp_path)


def test_what_goes_wrong_elsewhere_is_not_laid_on_the_run(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="elsewhere"), records.opened(tmp_path, SETTINGS):
        raise OSError("elsewhere")


def test_a_run_that_asked_nothing_leaves_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(SeriatimError, match="the reader"), records.opened(run, SETTINGS):
        raise SeriatimError("the reader is gone")
    assert not run.exists()
    with records.opened(run, SETTINGS) as (_, file):
        records.append(file, ROW)
    assert records.read_run(run).rows == (ROW,)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with records.opened(tmp_path, SETTINGS) as (_, file):
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(SeriatimError, match="cannot be written: No space left on device"):
            records.append(file, ROW)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SeriatimError, match=r"cannot be kept in .*: No space left on device"):
        cache.keep("ab" * 32, {"prediction": "x"})
