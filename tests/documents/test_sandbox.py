"""The limits are real: real processes run into them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from seriatim.documents.extraction import Unreadable
from seriatim.documents.limits import MIB, Limits
from seriatim.documents.reading import parse
from seriatim.documents.sandbox import extract
from seriatim.errors import DocumentError
from tests.documents import making

# Many seconds of work for the parser in little memory: each end tag searches all open elements.
SLOW_PAGE = b"<div>" * 100_000 + b"</p>" * 100_000 + b"x"
SOURCE = Path(__file__).parents[2] / "src"


def test_memory_is_limited_for_a_page_that_unpacks_without_end() -> None:
    content = making.deflated(b"BT /F 12 Tf ", b" " * MIB, 400)
    with pytest.raises(DocumentError, match=r"^bomb\.pdf needs more than 250 MiB of memory to read"):
        parse("bomb.pdf", making.pdf_by_hand(1, content, deflated=True), limits=Limits(memory_bytes=250 * MIB))


def test_memory_is_limited_for_python_too() -> None:
    body = "".join(f"<w:p><w:r><w:t>word {number}</w:t></w:r></w:p>" for number in range(500_000))
    with pytest.raises(DocumentError) as caught:
        parse("big.docx", making.docx_by_hand(body), limits=Limits(memory_bytes=80 * MIB))
    assert str(caught.value) == "big.docx needs more than 80 MiB of memory to read; split it into smaller files"


def test_processor_time_is_limited() -> None:
    with pytest.raises(DocumentError) as caught:
        parse("slow.html", SLOW_PAGE, limits=Limits(cpu_s=1))
    assert str(caught.value) == "slow.html takes more than 1 s of processor time to read; split it into smaller files"


def test_time_by_the_clock_is_limited() -> None:
    begin = time.monotonic()
    with pytest.raises(DocumentError) as caught:
        parse("slow.html", SLOW_PAGE, limits=Limits(wall_s=0.5))
    assert str(caught.value) == "slow.html takes more than 0.5 s to read; split it into smaller files"
    assert time.monotonic() - begin < 5


def test_the_text_that_comes_back_is_limited() -> None:
    page = b"<p>" + b"word " * MIB
    with pytest.raises(Unreadable, match="holds more than 1 MiB of text"):
        extract("html", page, Limits(text_bytes=MIB))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_something_else_kills_becomes_an_error_in_words() -> None:
    thread = threading.get_native_id()
    killing = threading.Thread(target=lambda: os.kill(_wait_for(lambda: _child(os.getpid(), thread)), signal.SIGSEGV))
    killing.start()
    with pytest.raises(DocumentError) as caught:
        parse("slow.html", SLOW_PAGE)
    killing.join()
    assert str(caught.value) == (
        "slow.html needs more than 1.5 GiB of memory to read, or is damaged: the process that parses it ended early "
        "(SIGSEGV); split it into smaller files or save it again"
    )


def test_hostile_modules_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "lxml", "zipfile", "seriatim"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend("")
    assert parse("a.docx", making.docx(["Safe"])).text == "Safe"


def test_large_pages_are_read_as_small_ones_are() -> None:
    page = "<h1>Head</h1>" + "<p>One &amp; two</p>" * 30_000
    assert parse("large.html", page.encode()).text == "Head" + "\n\nOne & two" * 30_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_the_worker_ends_with_its_parent(ending: signal.Signals) -> None:
    script = (
        "from seriatim.documents.reading import parse\n"
        "parse('slow.html', b'<div>' * 100_000 + b'</p>' * 100_000 + b'x')"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    parent = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE)
    try:
        worker = _wait_for(lambda: _child(parent.pid, parent.pid))
        _wait_for(lambda: _processor_ticks(worker) > 20)
        parent.send_signal(ending)
        _, complaint = parent.communicate(timeout=20)
        assert _wait_for(lambda: not _is_running(worker))
        assert (b"KeyboardInterrupt" in complaint) == (ending == signal.SIGINT)
    finally:
        parent.kill()
        parent.wait()


def _wait_for(condition, seconds: float = 20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def _child(pid: int, thread: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
    return int(children[0]) if children else None


def _processor_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
