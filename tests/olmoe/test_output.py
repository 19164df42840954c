"""What is written appears whole or not at all."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from seriatim.errors import ModelError
from seriatim.olmoe.output import remove_left, written_whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    with written_whole(tmp_path / "new" / "file", 4) as fresh:
        fresh.write_text("text")
        assert not (tmp_path / "new" / "file").exists()
    assert (tmp_path / "new" / "file").read_text() == "text"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_folder_may_take_the_place_of_an_empty_one(tmp_path):
    (tmp_path / "folder").mkdir()
    with written_whole(tmp_path / "folder", 4) as fresh:
        fresh.mkdir()
        (fresh / "file").write_text("text")
    assert (tmp_path / "folder" / "file").read_text() == "text"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ModelError])
def test_a_block_that_fails_leaves_nothing_and_its_own_error(tmp_path, error):
    def write() -> None:
        with written_whole(tmp_path / "file", 4) as fresh:
            fresh.write_text("te")
            raise error("stopped")

    with pytest.raises(error, match="stopped"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("pattern", "left"), [("file", {"other-1"}), ("*-1", {"file"})])
def test_what_a_kill_leaves_can_be_removed_by_name_or_pattern(tmp_path, pattern, left):
    for name in ("file", "other-1"):
        with written_whole(tmp_path / name, 4) as fresh:
            fresh.write_text("text")
            shutil.copytree(fresh.parent, tmp_path / f".{name}-copy")
        (tmp_path / name).unlink()
    remove_left(tmp_path / pattern)
    assert {each.name for room in tmp_path.iterdir() for each in room.iterdir()} == left


@pytest.mark.parametrize("folder", [False, True])
def test_what_exists_is_never_written_over(tmp_path, folder):
    mine = tmp_path / "mine" / "notes" if folder else tmp_path / "mine"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(ModelError, match="mine exists already"), written_whole(tmp_path / "mine", 4):
        pass
    assert mine.read_text() == "mine"


def test_more_than_the_disk_holds_is_refused_before_anything_is_written(tmp_path):
    with (
        pytest.raises(ModelError, match=rf"file would take 1e\+09 GB, and {tmp_path} has .* GB free"),
        written_whole(tmp_path / "file", 10**18),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_where_nothing_can_be_written_the_reason_is_not_the_space():
    with pytest.raises(ModelError, match="/proc/model cannot be written: "), written_whole(Path("/proc/model"), 4):
        pass


def test_a_parent_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(ModelError, match=r"file/model cannot be written: (File exists|Not a directory)"),
        written_whole(tmp_path / "file" / "model", 4),
    ):
        pass


@pytest.mark.parametrize("read", [Path.read_text, lambda path: shutil.copyfile(path, path.with_name("other"))])
def test_a_source_that_cannot_be_read_is_named_and_not_the_target(tmp_path, read):
    with (
        pytest.raises(ModelError, match="source cannot be read: No such file or directory"),
        written_whole(tmp_path / "target", 4),
    ):
        read(tmp_path / "source")
    assert list(tmp_path.iterdir()) == []


def fail_as_copyfile_does(fresh: Path) -> None:
    """On a full disk its error names the file that is copied first."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "source", None, str(fresh))


@pytest.mark.parametrize(
    "write", [lambda fresh: (fresh / "nothing" / "file").write_text("text"), fail_as_copyfile_does]
)
def test_a_target_that_cannot_be_written_is_named(tmp_path, write):
    with (
        pytest.raises(ModelError, match=r"target cannot be written: No (such file|space left)"),
        written_whole(tmp_path / "target", 4) as fresh,
    ):
        write(fresh)
    assert list(tmp_path.iterdir()) == []
