"""Reading zip archives from strangers: nothing is unpacked to disk, and every size is bounded beforehand."""

import io
import zipfile
import zlib
from itertools import pairwise

from seriatim.documents.extraction import Unreadable
from seriatim.documents.limits import MIB, Limits, in_words

_DAMAGED = "is damaged or was cut short; copy or download it again"
_LOCAL_HEADER_BYTES = 30
# A small file inside may be mostly blanks in all honesty; only larger ones are held to the ratio.
_RATIO_FROM = MIB
_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, IndexError)


class Archive:
    """The files inside a zip archive, by name, within `limits`. Every method raises `Unreadable`."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _ERRORS as error:
            raise Unreadable(_DAMAGED) from error
        self._limits = limits
        self._left = limits.expanded_bytes
        entries = self._zip.infolist()
        if len(entries) > limits.entries:
            raise Unreadable(
                f"holds {len(entries):,} files inside, more than the {limits.entries:,} that are allowed; "
                "open it in its own program and save it again"
            )
        _refuse_overlap(entries)
        self._entries = {entry.filename.replace("\\", "/"): entry for entry in entries}

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """The contents of the file `name`; `name` serves as a key alone, never as a path on disk."""
        entry = self._entries.get(name)
        if entry is None:
            raise Unreadable(lacks(name))
        if entry.flag_bits & 1:
            raise Unreadable("is locked by a password; unlock it and save it again")
        if entry.file_size > _RATIO_FROM and entry.file_size > self._limits.ratio * entry.compress_size:
            raise Unreadable(
                f"unpacks to more than {self._limits.ratio} times its size, as a zip bomb does; it was not read"
            )
        self._left -= entry.file_size
        if self._left < 0:
            raise Unreadable(
                f"unpacks to more than {in_words(self._limits.expanded_bytes)}; split it into smaller files"
            )
        try:
            # zipfile never yields more than the size that the entry declares, and checks the sum.
            return self._zip.read(entry)
        except _ERRORS as error:
            raise Unreadable(_DAMAGED) from error


def lacks(name: str) -> str:
    """Why an archive without its file `name` cannot be read."""
    return f"is damaged: it lacks its part {name}; copy or download it again"


def _refuse_overlap(entries: list[zipfile.ZipInfo]) -> None:
    """Files inside that share packed bytes are how a small bomb unpacks to a vast one."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    for entry, following in pairwise(ordered):
        if entry.header_offset + _LOCAL_HEADER_BYTES + entry.compress_size > following.header_offset:
            raise Unreadable("holds files that overlap inside, as a zip bomb does; it was not read")
