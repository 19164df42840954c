"""Parsing documents in a process of their own, which limits and the clock can stop without harm to this one."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread, Timer
from typing import IO, Any

from seriatim.documents.extraction import Extracted, Unreadable, printable, too_much_text
from seriatim.documents.formats import Format
from seriatim.documents.limits import MIB, Limits, in_words

# The worker imports from the paths of this process: -I shuts out the environment and the current folder, so that
# it works the same from an installed package, a source tree and any folder a person happens to stand in.
_START = "import sys; sys.path[:] = sys.argv[1].split('\\n'); from seriatim.documents.worker import main; main()"
_CHUNK_BYTES = MIB
_HEADER_BYTES = MIB
_LOOK_EVERY_S = 0.1
_SPLIT = "split it into smaller files"


def extract(format_name: Format, data: bytes, limits: Limits, *, stop: Event | None = None) -> Extracted:
    """Parse `data` in a process of its own, within `limits` and until `stop` is set. Raises `Unreadable`.

    The process ends with this call, however that ends, and with this process.
    """
    told, text = _run(_request(format_name, data, limits), data, limits, stop)
    return Extracted(text.decode("utf-8", "replace"), tuple(told["page_starts"]))


def page_picture(data: bytes, page: int, limits: Limits) -> bytes:
    """A page of a PDF, from 1, as a PNG image; made in a process of its own like `extract`. Raises `Unreadable`."""
    return _run(_request("pdf", data, limits, page=page), data, limits)[1]


def _run(request: bytes, data: bytes, limits: Limits, stop: Event | None = None) -> tuple[dict[str, Any], bytes]:
    """What a worker answers, and the bytes that follow."""
    most = limits.text_bytes + _HEADER_BYTES
    with _started() as worker:
        clock = Timer(limits.wall_s, worker.kill)
        clock.daemon = True
        clock.start()
        if stop is not None:
            Thread(target=_kill_when, args=(worker, stop), daemon=True).start()
        try:
            answer = _exchange(worker, request, data, most)
        finally:
            out_of_time = clock.finished.is_set()
            clock.cancel()
            worker.kill()
            _close(worker.stdin)
    if stop is not None and stop.is_set():
        raise Unreadable("was left unread; add it again")
    if len(answer) > most:
        raise too_much_text(limits)
    header, _, text = answer.partition(b"\n")
    told = _told(header)
    if told.get("size") != len(text):
        raise Unreadable(_end_in_words(worker.returncode, out_of_time, limits))
    _check(told, limits)
    return told, text


def _kill_when(worker: subprocess.Popen[bytes], stop: Event) -> None:
    """End the worker as soon as `stop` is set, unless it has ended before."""
    while worker.returncode is None:
        if stop.wait(_LOOK_EVERY_S):
            worker.kill()
            return


def _started() -> subprocess.Popen[bytes]:
    package = str(Path(__file__).parents[2])
    paths = [path for path in sys.path if path]
    if package not in paths:
        paths.append(package)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, "\n".join(paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C then reaches this process alone, which stops the worker.
            start_new_session=True,
        )
    except OSError as error:
        raise Unreadable(f"cannot be read: the process that parses it did not start ({error.strerror})") from error


def _request(format_name: Format, data: bytes, limits: Limits, *, page: int | None = None) -> bytes:
    request = {
        "format": format_name,
        "size": len(data),
        "parent": os.getpid(),
        "limits": asdict(limits),
        "page": page,
    }
    return json.dumps(request).encode() + b"\n"


def _exchange(worker: subprocess.Popen[bytes], request: bytes, data: bytes, most: int) -> bytes:
    """What the worker answers: all of it, or a little over `most` bytes."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    # The worker answers only once it has read everything, so neither side can wait for the other. Where it ends
    # early, how it ended says why.
    with suppress(BrokenPipeError):
        worker.stdin.write(request)
        worker.stdin.write(data)
    _close(worker.stdin)
    answer = _received(worker.stdout, most)
    if len(answer) <= most:
        worker.wait()
    return answer


def _close(stream: IO[bytes] | None) -> None:
    """Close a pipe whose other end may be gone, in which case what is left in its buffer is lost."""
    if stream is not None:
        with suppress(BrokenPipeError):
            stream.close()


def _received(stream: IO[bytes], most: int) -> bytes:
    chunks, size = [], 0
    while size <= most and (chunk := stream.read(_CHUNK_BYTES)):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _told(header: bytes) -> dict[str, Any]:
    """The first line of an answer; empty when the worker did not get so far."""
    try:
        told = json.loads(header)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _check(told: dict[str, Any], limits: Limits) -> None:
    """Raise `Unreadable` where a worker says that it could not do what it was asked."""
    if "unreadable" in told:
        raise Unreadable(printable(told["unreadable"]))
    if "out_of_memory" in told:
        raise Unreadable(f"needs more than {in_words(limits.memory_bytes)} of memory to read; {_SPLIT}")
    if "failure" in told:
        raise Unreadable(f"cannot be parsed ({printable(told['failure'])}); it may be damaged: save it again")


def _end_in_words(status: int, out_of_time: bool, limits: Limits) -> str:
    """Why a worker that gave no answer ended, from its exit status."""
    if out_of_time:
        return f"takes more than {limits.wall_s:g} s to read; {_SPLIT}"
    if status == -signal.SIGXCPU:
        return f"takes more than {limits.cpu_s} s of processor time to read; {_SPLIT}"
    cause = f"needs more than {in_words(limits.memory_bytes)} of memory to read, or is damaged"
    how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return f"{cause}: the process that parses it ended early ({how}); {_SPLIT} or save it again"
