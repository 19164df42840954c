"""Several processes make what one makes, and leave nothing behind when they are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seriatim.errors import TrainingError
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data import shards, sources, tokenising, vocabulary

LINE = "Entry {n}: the Petrel sold {n} barrels of oil at Sunder for eleven crowns a barrel."


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": LINE.format(n=n) * (n % 5 + 1)}) + "\n" for n in range(300)))
    return file


@pytest.fixture
def tokenizer(rows: Path) -> Tokenizer:
    return vocabulary.trained(sources.texts(rows), 400)


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_written_does_not_depend_on_the_number_of_workers(
    tmp_path: Path, rows: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PART_BYTES", 2000)
    monkeypatch.setattr(shards, "SHARD_TOKENS", 1000)
    (tmp_path / "novel.txt").write_text(LINE * 40)
    files = [tmp_path / "novel.txt", rows]
    for workers in (1, 2, 3):
        told: list[tuple[int, int]] = []
        shards.write(
            files, tmp_path / str(workers), tokenizer, validation=0.2, workers=workers,
            progress=lambda _what, done, total, told=told: told.append((done, total)),
        )  # fmt: skip
        parts = len(told) - len(files)  # then the files are hashed
        assert told == [(n + 1, parts) for n in range(parts)] + [(0, 2), (1, 2)]
        assert parts > 10
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "3")
    assert len([name for name in contents(tmp_path / "1") if name.endswith(".bin")]) > 4


def test_an_error_among_workers_is_the_one_that_stands_first(
    tmp_path: Path, rows: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PART_BYTES", 2000)
    lines = rows.read_text().splitlines()
    rows.write_text("\n".join([*lines[:200], "{", *lines[200:250], "{", *lines[250:]]))
    with pytest.raises(TrainingError, match="line 201: not JSON"):
        shards.write([rows], tmp_path / "data", tokenizer, workers=2)
    assert not (tmp_path / "data").exists()


def _die(_part: sources.Part) -> tokenising.Tokenised:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_killed_worker_ends_the_work_with_an_error(
    tmp_path: Path, rows: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PART_BYTES", 2000)
    monkeypatch.setattr(tokenising, "_tokenise", _die)
    with pytest.raises(TrainingError, match="a process that tokenises was killed"):
        shards.write([rows], tmp_path / "data", tokenizer, workers=2)
    assert not (tmp_path / "data").exists()


def test_a_killed_command_leaves_no_data_and_no_process(tmp_path: Path, rows: Path, tokenizer: Tokenizer) -> None:
    rows.write_text(rows.read_text() * 300)  # some parts of it are still to come when the first is written
    tokenizer.write(tmp_path)
    command = [sys.executable, "-m", "seriatim", "train", "data", str(rows), "--out", str(tmp_path / "data")]
    job = subprocess.Popen(
        [*command, "--tokenizer", str(tmp_path / "tokenizer.json"), "--workers", "2"], stderr=subprocess.DEVNULL
    )
    while job.poll() is None and not any(file.stat().st_size for file in tmp_path.glob(".data-*/data/train-00000.bin")):
        time.sleep(0.02)
    assert job.poll() is None
    workers = children(job.pid)
    assert len(workers) >= 2
    job.kill()
    job.wait()
    assert not (tmp_path / "data").exists()
    until = time.monotonic() + 20
    while alive := [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, alive
        time.sleep(0.05)
