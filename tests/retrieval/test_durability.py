"""Nothing is lost: real kills, real concurrent processes, a really full disk."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seriatim.errors import LibraryError
from seriatim.retrieval.library import Library
from seriatim.retrieval.store import FILE
from tests.retrieval.conftest import ORCHARD, VOYAGE

DOCUMENTS = 24
KILLS = 24


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with enough text that adding it takes a while."""
    documents = tmp_path / "shelf"
    documents.mkdir()
    for number in range(DOCUMENTS):
        text = f"Volume {number}.\n\n" + (VOYAGE + "\n\n" + ORCHARD + "\n\n") * 12
        (documents / f"{number:02}.txt").write_text(text)
    return documents


def adding(folder: Path, library: Path) -> subprocess.Popen[str]:
    """A process that adds `folder`; it prints a line once its imports are done."""
    program = (
        "import sys\n"
        "from seriatim.retrieval.library import Library\n"
        "print('ready', flush=True)\n"
        "with Library(sys.argv[2], embedder='static') as library:\n"
        "    report = library.add([sys.argv[1]])\n"
        "    print(len(report.added), len(report.unchanged), len(report.failed))\n"
    )
    command = [sys.executable, "-c", program, str(folder), str(library)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def contents(library: Path) -> dict[str, str]:
    with Library(library) as opened:
        opened.status(verify=True)
        return {info.name: opened.document_text(info.name) for info in opened.documents()}


def test_a_kill_at_any_moment_leaves_a_sound_library(shelf: Path, tmp_path: Path) -> None:
    undisturbed = adding(shelf, tmp_path / "undisturbed")
    assert undisturbed.stdout is not None
    undisturbed.stdout.readline()
    started = time.perf_counter()
    undisturbed.communicate()
    duration = time.perf_counter() - started
    expected = contents(tmp_path / "undisturbed")
    assert len(expected) == DOCUMENTS

    library = tmp_path / "killed"
    moments = random.Random(0)
    held: set[int] = set()
    for kill in range(KILLS):
        if kill % 6 == 0:  # a fresh library now and then, so that its making is interrupted too
            library = tmp_path / f"killed-{kill}"
        process = adding(shelf, library)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, duration if kill % 6 else duration / 4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = contents(library)
        assert found.items() <= expected.items()
        held.add(len(found))
        if found:
            with Library(library) as opened:
                assert opened.search("Who kept the log?", tokens=300, effort="fast").passages
    process = adding(shelf, library)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert contents(library) == expected
    assert len(held) > 2, "the kills did not fall into the middle of adding"


def test_two_processes_adding_at_once_both_succeed(shelf: Path, tmp_path: Path) -> None:
    both = [adding(shelf, tmp_path / "shared") for _ in range(2)]
    for process in both:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert output.split()[-1] == "0"
    assert len(contents(tmp_path / "shared")) == DOCUMENTS


def test_a_reader_is_not_kept_waiting_by_a_writer(shelf: Path, tmp_path: Path) -> None:
    with Library(tmp_path / "shared", embedder="static") as library:
        library.add([shelf / "00.txt"])
        process = adding(shelf, tmp_path / "shared")
        while process.poll() is None:
            assert library.search("Who kept the log?", tokens=300, effort="fast").passages
        assert process.returncode == 0
        assert len(library.documents()) == DOCUMENTS


def test_a_full_disk_loses_nothing(shelf: Path, tiny_disk: Path) -> None:
    library = tiny_disk / "library"
    with Library(library, embedder="static") as opened:
        opened.add([shelf / "00.txt"])
        before = {info.name for info in opened.documents()}
        with pytest.raises(LibraryError, match=r"disk that holds .* is full"):
            opened.add([shelf])
        assert opened.search("Who kept the log?", tokens=300).passages
    kept = contents(library)
    assert before <= kept.keys()
    assert len(kept) < DOCUMENTS
    subprocess.run(["mount", "-o", "remount,size=64m", tiny_disk], check=True)
    with Library(library) as opened:
        opened.add([shelf])
    assert len(contents(library)) == DOCUMENTS


def test_a_read_only_library_can_be_searched_but_not_changed(shelf: Path, tiny_disk: Path) -> None:
    library = tiny_disk / "library"
    with Library(library, embedder="static") as opened:
        opened.add([shelf / "00.txt"])
    before = (library / FILE).read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with Library(library) as opened:
        assert opened.search("Who kept the log?", tokens=300).passages
        with pytest.raises(LibraryError, match="is read-only"):
            opened.add([shelf])
    assert (library / FILE).read_bytes() == before


BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


def opening(library: Path, documents: str = "x.txt") -> str:
    """What a process that permissions bind, root's too, is told when it opens `library` to ask `documents`."""
    program = (
        "import sys\n"
        "from seriatim.errors import LibraryError\n"
        "from seriatim.retrieval.asked import library_for\n"
        "try:\n"
        "    with library_for([sys.argv[2]], sys.argv[1]) as opened:\n"
        "        print(opened.path)\n"
        "except LibraryError as error:\n"
        "    print(error)\n"
    )
    if BOUND and not shutil.which(BOUND[0]):
        pytest.skip("root may do everything here")
    done = subprocess.run(
        [*BOUND, sys.executable, "-c", program, library, documents], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_folder_without_permission_is_reported(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be made: Permission denied" in opening(tmp_path / "locked" / "library")


@pytest.mark.parametrize(("closed", "mode"), [("", 0), ("", 0o600), (FILE, 0)])
def test_a_library_that_may_not_be_read_is_reported_as_that(tmp_path: Path, closed: str, mode: int) -> None:
    library = tmp_path / "library"
    Library(library, embedder="static").close()
    (library / closed).chmod(mode)
    try:
        assert "cannot be read: permission denied" in opening(library)
        # Whether the embedder of such a library can be had is no reason for a traceback.
        assert ("cannot be read" if closed else "seriatim-") in opening(library, "-")
    finally:
        (library / closed).chmod(0o700)
