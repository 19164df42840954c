"""The documents of a library as other programs see them: by id and label, with text, pages and pictures of pages."""

import hashlib
import itertools
import re
import shutil
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any, BinaryIO, NoReturn

from seriatim.documents.extraction import Unreadable, printable
from seriatim.documents.formats import SUFFIXES
from seriatim.documents.limits import Limits
from seriatim.documents.sandbox import page_picture
from seriatim.errors import DocumentError, UsageError
from seriatim.retrieval.context import Context
from seriatim.retrieval.library import Library
from seriatim.retrieval.reports import DocumentInfo
from seriatim.server.errors import NotFound

FILES = "files"
"""The folder below a library in which uploads are kept, each under a name that the server made."""

_KEPT_FILE = re.compile(r"\.?[0-9a-f]{32}(\.\w+)?")
_UPLOADED = re.compile(r"([0-9a-f]{32})/[^/]+")
_LABEL_CHARACTERS = 200
_NAMES = 4096  # whose id and label are kept at hand: every passage that is shown needs both
_TEXT_CHARACTERS = 1_000_000
_PICTURE_LIMITS = Limits(cpu_s=20, wall_s=40.0)


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file: the label that people see, and the server's own name for it in `FILES`."""

    label: str
    file: str

    @property
    def key(self) -> str:
        return self.file.partition(".")[0]

    @property
    def document(self) -> str:
        """The document's name in the library; its last part is what the model reads as the document's title."""
        return f"{self.key}/{self.label}"


def label(given: str) -> str:
    """What a client calls a file, as a label: its last part, printable, of bounded length. It never names a file."""
    last = printable(re.split(r"[/\\]", given)[-1]).strip()
    if last.lower() in SUFFIXES:
        return f"document{last}"  # it has an ending and no name
    last = last.strip(" .")
    stem, suffix = PurePath(last).stem, PurePath(last).suffix[:20]
    return (stem[: _LABEL_CHARACTERS - len(suffix)] + suffix) or "document"


def upload(given: str, key: str) -> Upload:
    """The upload that a client calls `given`, under the server's own `key`, 32 hexadecimal digits."""
    shown = label(given)
    suffix = PurePath(shown).suffix.lower()
    return Upload(shown, key + (suffix if suffix in SUFFIXES else ""))


def renamed(given: Upload, taken: Container[str]) -> Upload:
    """The upload under a label that is not among those taken: "book (2).pdf"."""
    stem, suffix = PurePath(given.label).stem, PurePath(given.label).suffix
    labels = (f"{stem} ({number}){suffix}" for number in itertools.count(2))
    return (
        given if given.label not in taken else replace(given, label=next(each for each in labels if each not in taken))
    )


def keep(source: BinaryIO, folder: Path, file: str) -> None:
    """Write an uploaded file into a library's folder; under its name it is whole or not there."""
    partial = folder / FILES / f".{file}"
    try:
        (folder / FILES).mkdir(exist_ok=True)
        with partial.open("wb") as target:
            shutil.copyfileobj(source, target)
        partial.rename(folder / FILES / file)
    except OSError as error:
        if not folder.is_dir():
            raise NotFound("the library was removed while the upload came; add the file to another one") from error
        partial.unlink(missing_ok=True)
        raise not_kept(error) from error


def not_kept(error: OSError) -> DocumentError:
    """What is said of an upload for which the disk has no room."""
    return DocumentError(f"the upload could not be kept ({error.strerror}); free some space and try again")


def kept_files(folder: Path) -> list[str]:
    """The files of uploads in a library's folder, with those that a kill left half written."""
    return [path.name for path in (folder / FILES).glob("*") if _KEPT_FILE.fullmatch(path.name)]


@lru_cache(_NAMES)
def document_id(name: str) -> str:
    """What a document is called in addresses; a name may be any path."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


@lru_cache(_NAMES)
def shown_name(name: str) -> str:
    """What a document is called for people: an upload's label, a file's own name."""
    return printable(PurePath(name).name or name)


def shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """A passage or a citation as the API gives it: the document by its label, and by its id."""
    name = found["document"]
    return {**found, "document": shown_name(name), "document_id": document_id(name)}


def listing(library: Library) -> list[dict[str, object]]:
    """All documents of a library, by label."""
    return sorted((facts(info) for info in library.documents()), key=lambda each: str(each["name"]).lower())


def facts(info: DocumentInfo) -> dict[str, object]:
    """A document as the API gives it."""
    return {
        "id": document_id(info.name),
        "name": shown_name(info.name),
        "characters": info.characters,
        "tokens": info.tokens,
        "pages": info.pages,
        "passages": info.passages,
        "added": info.added_at,
    }


def read_in(library: Library, context: Context) -> list[dict[str, object]]:
    """The documents that passages come from, in the passages' order: where a passage stands in its document can be
    shown by these also when that is gone."""
    held = {info.name: info for info in library.documents()}
    names = dict.fromkeys(each.passage.document for each in context.passages)
    kept = ("id", "name", "characters", "pages")
    return [{key: facts(held[name])[key] for key in kept} for name in names if name in held]


def find(library: Library, key: str) -> DocumentInfo:
    """The document with an id. Raises `NotFound`."""
    for info in library.documents():
        if document_id(info.name) == key:
            return info
    return _missing(key)


def _missing(key: str) -> NoReturn:
    raise NotFound(f"the library holds no document {key[:32]!r}; GET its documents to see which it has")


def names_of(library: Library, wanted: Sequence[str] | None) -> list[str] | None:
    """The names of the documents with these ids, or labels that one document alone has; None stands for all.
    Raises `NotFound`, `UsageError` for a label of several."""
    if wanted is None:
        return None
    called: dict[str, list[str]] = {}
    for info in library.documents():
        for key in (document_id(info.name), shown_name(info.name)):
            called.setdefault(key, []).append(info.name)
    return [_only(key, called.get(key) or _missing(key)) for key in wanted]


def _only(key: str, names: Sequence[str]) -> str:
    if len(names) > 1:
        ids = ", ".join(map(document_id, names))
        raise UsageError(f"several documents are called {key[:100]!r}; give the id of one: {ids}")
    return names[0]


def text(library: Library, key: str, start: int, end: int | None) -> dict[str, object]:
    """A stretch of a document's text, in characters; at most a million at once."""
    info = find(library, key)
    start = min(start, info.characters)
    end = min(info.characters if end is None else end, info.characters, start + _TEXT_CHARACTERS)
    stretch = library.document_text(info.name)[start:end]
    return {"text": stretch, "start": start, "end": start + len(stretch), "length": info.characters}


def pages(library: Library, key: str) -> list[dict[str, int]]:
    """Where each page of a document begins and ends; empty for one without pages."""
    info = find(library, key)
    starts = library.page_starts(info.name)
    ends = (*starts[1:], info.characters)
    return (
        [
            {"page": page, "start": start, "end": end}
            for page, (start, end) in enumerate(zip(starts, ends, strict=True), 1)
        ]
        if starts
        else []
    )


def source(library: Library, key: str) -> Path:
    """The file that a document with pages was read from. Raises `NotFound` where it is no PDF, or is gone."""
    info = find(library, key)
    uploaded = _UPLOADED.fullmatch(info.name)
    file = library.path / FILES / f"{uploaded[1]}.pdf" if uploaded else Path(info.name)
    if info.pages is None or not file.is_absolute() or not file.is_file():
        raise NotFound(f"{shown_name(info.name)} has no pages to show; GET its text instead")
    return file


def picture(file: Path, page: int) -> bytes:
    """A page of a PDF as a PNG image, made in a limited process. Raises `NotFound` where there is none to show."""
    try:
        return page_picture(file.read_bytes(), page, _PICTURE_LIMITS)
    except (Unreadable, OSError) as error:
        raise NotFound(f"page {page} cannot be shown: the document {error}") from error


def remove(library: Library, key: str) -> None:
    """Remove a document, and the file where it was uploaded. Files of the command line's are not touched."""
    info = find(library, key)
    library.remove(info.name)
    uploaded = _UPLOADED.fullmatch(info.name)
    for file in (library.path / FILES).glob(f"{uploaded[1]}*") if uploaded else ():
        file.unlink(missing_ok=True)
