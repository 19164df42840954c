"""The process in which documents made by strangers are parsed; `sandbox` starts it and says what it may use.

It reads one request from its standard input and writes one answer to its standard output, each a line of JSON
followed by bytes, and ends. It can write nothing to a file and leaves no core dump.
"""

import json
import os
import resource
import sys
from typing import Any

from seriatim.documents.extraction import Extracted, Unreadable
from seriatim.documents.limits import Limits

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def main() -> None:
    """Parse the one document that standard input brings."""
    _die_with_parent()
    request = json.loads(sys.stdin.buffer.readline())
    if os.getppid() != request["parent"]:
        return
    limits = Limits(**request["limits"])
    _confine(limits)
    try:
        answer, text = _answered(request, sys.stdin.buffer.read(request["size"]), limits)
    except Unreadable as error:
        answer, text = {"unreadable": str(error)}, b""
    except MemoryError:
        answer, text = {"out_of_memory": True}, b""
    except Exception as error:
        # Whatever a damaged file makes a parser raise, the caller gets to know in words.
        answer, text = {"failure": f"{type(error).__name__}: {error}"[:500]}, b""
    sys.stdout.buffer.write(json.dumps({**answer, "size": len(text)}).encode() + b"\n")
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def _answered(request: dict[str, Any], data: bytes, limits: Limits) -> tuple[dict[str, Any], bytes]:
    """A document's text, or, where the request names a page, the picture of that page."""
    if request["page"] is not None:
        from seriatim.documents.picture import page_png

        return {}, page_png(data, request["page"])
    extracted = _extract(request["format"], data, limits)
    return {"page_starts": extracted.page_starts}, extracted.text.encode()


def _extract(format_name: str, data: bytes, limits: Limits) -> Extracted:
    if format_name == "pdf":
        from seriatim.documents.pdf import read_pdf

        return read_pdf(data, limits)
    if format_name == "html":
        from seriatim.documents.html import html_text

        return Extracted(html_text(data))
    return _extract_archive(data, limits)


def _extract_archive(data: bytes, limits: Limits) -> Extracted:
    from seriatim.documents import docx, epub
    from seriatim.documents.archive import Archive

    archive = Archive(data, limits)
    if epub.CONTAINER in archive:
        return epub.read_epub(archive)
    if docx.CONTENT_TYPES in archive:
        return docx.read_docx(archive)
    raise Unreadable("is a zip archive but neither EPUB nor DOCX; unpack it and add the files inside")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def _confine(limits: Limits) -> None:
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    # One second more for the hard limit: at the soft one a signal of its own tells why the process ended.
    _limit(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)


def _limit(resource_kind: int, soft: int, hard: int | None = None) -> None:
    _, most = resource.getrlimit(resource_kind)
    most = sys.maxsize if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource_kind, (min(soft, most), min(soft if hard is None else hard, most)))
