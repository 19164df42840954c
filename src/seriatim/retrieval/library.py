"""A library: documents kept, found and asked."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack, get_args
from unicodedata import category

from seriatim.documents.document import Document
from seriatim.documents.extraction import display_name, printable
from seriatim.documents.passages import PASSAGE_TOKENS, Splitting, cut
from seriatim.documents.reading import parse
from seriatim.documents.sources import Named, find_sources, listed, read_source
from seriatim.errors import DocumentError, LibraryError, ModelError, UsageError
from seriatim.home import home
from seriatim.progress import Progress
from seriatim.retrieval import embedders, lexical, ranking, static
from seriatim.retrieval.budget import LEAST, Tokens, ceiling, settled
from seriatim.retrieval.content import content
from seriatim.retrieval.context import Context, Ranked
from seriatim.retrieval.embedders import Embedder
from seriatim.retrieval.first_stage import FirstStage, Rows, Scores
from seriatim.retrieval.ranking import EFFORTS, Effort
from seriatim.retrieval.reports import AddReport, DocumentInfo, LibraryStatus
from seriatim.retrieval.selection import ORDERS, Order, in_reading_order, within_budget
from seriatim.retrieval.store import FILE, Changed, Indexed, Store, Stored

if TYPE_CHECKING:
    from seriatim.answering import Answer, AskOptions
    from seriatim.models.generator import Generator

DEFAULT_TOKENS = 1024
_CHANGES = 3  # of what is searched, while it is searched, are borne


class SearchOptions(TypedDict, total=False):
    """How passages are searched for; `Library.search` explains them and has the defaults."""

    tokens: Tokens
    passages: int | None
    order: Order
    effort: Effort
    progress: Progress | None


class Library:
    """A folder that holds documents, their passages and vectors.

    `path` defaults to `library` in Seriatim's home. `embedder` names the dense embedder (see `embedders`) and
    `splitting` how text is cut; the library remembers both and refuses others from then on (another embedder as soon as
    it keeps a vector).
    Raises `UsageError` for an embedder or a splitting that is none, `LibraryError` where the folder cannot be used, or
    holds vectors of another embedder.
    """

    def __init__(
        self, path: str | Path | None = None, *, embedder: str | Path | None = None, splitting: Splitting | None = None
    ) -> None:
        self.path = library_folder(path)
        if splitting not in (None, *get_args(Splitting)):
            raise UsageError(f"the splitting is one of {', '.join(get_args(Splitting))}, not {splitting!r}")
        embedder = embedders.checked(embedder) if embedder is not None else None
        self._store = Store(self.path)
        try:
            self._agree("static", static.NAME)
            self.splitting: Splitting = self._agree("splitting", splitting, "sentences")  # type: ignore[assignment]
            if embedder is not None and self._store.writable:
                self._store.change_embedder(embedder)
            self._embedder_name = self._agree("embedder", embedder, embedders.DEFAULT, settle=embedder is not None)
        except BaseException:
            self._store.close()
            raise
        self._embedder: Embedder | None = None
        self._stage: tuple[Any, FirstStage] | None = None
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()

    def add(self, paths: Named, *, progress: Progress | None = None) -> AddReport:
        """Take in files, folders, globs, or "-" for standard input; one, or a list of them.

        A file whose content is unchanged costs a hash; a changed one replaces its passages in one step; a file that
        is gone from a folder given here goes from the library. What cannot be read is reported, and the rest gets in.
        """
        paths = listed(paths)
        found = [find_sources([path]) for path in paths]
        sources = list(dict.fromkeys(source for named, _ in found for source in named))
        held = {stored.name: stored.sha256 for stored in self._store.documents()}
        done: dict[str, list[str]] = {"added": [], "changed": [], "unchanged": []}
        failed = list(dict.fromkeys((name, f"{name}: {why}") for _, problems in found for name, why in problems))
        for number, source in enumerate(sources):
            name = str(source)
            if progress:
                progress(f"reading {Path(name).name}", number, len(sources))
            try:
                outcome = self._take_in(name, read_source(source), held.get(name))
            except DocumentError as error:
                failed.append((name, str(error)))
            else:
                done[outcome].append(name)
        if progress and sources:
            progress("reading", len(sources), len(sources))
        removed = _gone(held, paths, {str(source) for source in sources})
        if removed:
            self._store.remove(removed)
        taken = {name for names in done.values() for name in names}
        missing = [
            printable(str(path))
            for path, (named, _) in zip(paths, found, strict=True)
            if taken.isdisjoint(map(str, named)) and not _gone(removed, [path], set())
        ]
        return AddReport(
            tuple(done["added"]), tuple(done["changed"]), tuple(done["unchanged"]),
            tuple(removed), tuple(failed), tuple(missing),
        )  # fmt: skip

    def add_document(self, document: Document, *, progress: Progress | None = None) -> None:
        """Take in a document that is already text; one of the same name is replaced.

        `progress` is told of each step before it begins; where it raises, nothing is written.
        """
        self._store.put(self._indexed(document, progress))

    def remove(self, names: Named) -> tuple[str, ...]:
        """Remove one document or several by name: the full one, or a path or file name that only one document has.

        Raises `LibraryError`, and removes nothing, where a name fits none or several.
        """
        known = [stored.name for stored in self._store.documents()]
        found = tuple(dict.fromkeys(_resolve(name, known) for name in listed(names)))
        self._store.remove(found)
        return found

    def search(
        self,
        question: str,
        *,
        documents: Named | None = None,
        tokens: Tokens = DEFAULT_TOKENS,
        passages: int | None = None,
        order: Order = "document",
        effort: Effort = "balanced",
        progress: Progress | None = None,
    ) -> Context:
        """The passages that answer `question` best, within `tokens`, in reading order.

        Where all the documents asked fit the budget, they come whole. "auto" fits the budget to the question, see
        `budget.settled`. `documents` limits the search by name, as in `remove`. At effort "fast" static vectors and
        BM25 rank; "balanced" adds a dense embedder over the best candidates; "thorough" over every passage. Raises
        `UsageError` for a request that makes no sense, `LibraryError` where there is nothing to search.
        """
        check_request(question, tokens=tokens, passages=passages, order=order, effort=effort, progress=progress)
        for _ in range(_CHANGES):
            with suppress(Changed):
                return self._search(question, documents, tokens, passages, order, effort, progress)
        return self._search(question, documents, tokens, passages, order, effort, progress)

    def _search(
        self,
        question: str,
        documents: Named | None,
        tokens: Tokens,
        passages: int | None,
        order: Order,
        effort: Effort,
        progress: Progress | None,
    ) -> Context:
        stored = self._asked(documents)
        stage = self._first_stage(stored)
        most = ceiling(tokens)
        whole = passages is None and sum(each.tokens for each in stored) <= (LEAST if tokens == "auto" else most)
        depth = max(400, 4 * most // PASSAGE_TOKENS, passages or 0, len(stage) if whole else 0)
        rows, scores = self._rank(stage, question, "fast" if whole else effort, depth, progress)
        # Four times the average need is read, which leaves room to pass over what no longer fits.
        needed = rows if whole else rows[: max(4 * most // PASSAGE_TOKENS, passages or 0, 16)]
        found = self._store.passages_at(stage.locate(needed))
        ranked = [
            Ranked(passage, rank, float(score))
            for rank, (passage, score) in enumerate(zip(found, scores, strict=False), start=1)
        ]
        if whole:
            ranked += self._unranked(stored, ranked)
        chosen = within_budget(ranked, tokens=settled(tokens, ranked), passages=passages)
        if not chosen:
            raise UsageError(
                f"no passage fits {tokens} tokens; a passage holds up to {PASSAGE_TOKENS}, so allow that many"
            )
        return Context(question, in_reading_order(chosen, order), sum(each.passage.tokens for each in chosen))

    def check_asked(self, documents: Named | None = None) -> None:
        """Raise what `search` would where there is nothing to search, or where `documents` name what is not here."""
        self._asked(documents)

    def ask(
        self,
        question: str,
        *,
        model: "str | Path | Generator | None" = None,
        documents: Named | None = None,
        **options: Unpack["AskOptions"],
    ) -> "Answer":
        """Answer `question` from the library, or from some of its `documents`; the rest as in `seriatim.ask`."""
        from seriatim.answering import ask_library

        return ask_library(question, self, model=model, documents=documents, **options)

    def documents(self) -> list[DocumentInfo]:
        """What the library holds, by name."""
        infos = [
            DocumentInfo(
                each.name, each.sha256, each.added_at, each.characters, each.tokens,
                len(each.page_starts) or None, each.passages,
            )
            for each in self._store.documents()
        ]  # fmt: skip
        return sorted(infos, key=lambda info: info.name)

    def document_text(self, name: str | Path) -> str:
        """The text that a document's offsets count in; the document is named as in `remove`."""
        held = {stored.name: stored for stored in self._store.documents()}
        return self._store.text(held[_resolve(name, list(held))])

    def page_starts(self, name: str) -> tuple[int, ...]:
        """The offset at which each page of a document begins, page 1 first; empty where there are no pages, or no
        document any more."""
        stored = self._store.find(name)
        return stored.page_starts if stored else ()

    def size(self) -> int:
        """Bytes on the disk."""
        size = 0
        for file in self.path.glob(f"{FILE}*"):
            with suppress(FileNotFoundError):  # whoever else has it open may take the log away
                size += file.stat().st_size
        return size

    def status(self, *, verify: bool = True) -> LibraryStatus:
        """Counts and sizes. With `verify` everything is read first; raises `LibraryError` where the file is damaged."""
        if verify:
            self._store.verify()
        infos = self.documents()
        return LibraryStatus(
            str(self.path), len(infos), sum(info.passages for info in infos), self._store.dense_count(),
            sum(info.tokens for info in infos), self.size(), self.splitting, static.NAME,
            self._store.setting("embedder"),
        )  # fmt: skip

    def _agree(self, key: str, asked: str | None, default: str | None = None, *, settle: bool = True) -> str:
        """The value of a setting that the library keeps for good: what it holds, else what is asked, else the
        default."""
        held = self._store.setting(key)
        if held is None:
            value = asked or default or ""
            held = self._store.settle(key, value) if settle and self._store.writable else value
        if asked is not None and held != asked:
            raise LibraryError(
                f"the library {self.path} was made with {key} {held}, not {asked}, and the two cannot be mixed; "
                f"leave {asked} out, or choose another folder with --library"
            )
        return held

    def _take_in(self, name: str, data: bytes, held: str | None) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        if held == sha256:
            return "unchanged"
        document = parse(name, data)
        self._store.put(self._indexed(document))
        if document.guessed_encoding:
            self.notes.append(
                f"{display_name(name)} is not UTF-8; it was read as {document.guessed_encoding}, a guess: where "
                "letters look wrong, save the file as UTF-8"
            )
        return "added" if held is None else "changed"

    def _indexed(self, document: Document, progress: Progress | None = None) -> Indexed:
        tell = progress or (lambda *_: None)
        tell("splitting", 0, 4)
        pieces = cut(document, self.splitting)
        tell("indexing words", 1, 4)
        texts = [content(passage.text) for passage in pieces.passages]
        lists, lengths = lexical.postings(texts)
        tell("embedding", 2, 4)
        vectors = static.embed_ids(pieces.token_ids)
        changed = [
            i for i, (text, passage) in enumerate(zip(texts, pieces.passages, strict=True)) if text != passage.text
        ]
        vectors[changed] = static.embed([texts[i] for i in changed])
        tell("writing", 3, 4)
        return Indexed(document, pieces.passages, vectors, lists, lengths)

    def _asked(self, names: Named | None) -> list[Stored]:
        stored = self._store.documents()
        if names is not None:
            wanted = {_resolve(name, [each.name for each in stored]) for name in listed(names)}
            if not wanted:
                raise UsageError("no document was named; name one, or leave `documents` out to search all of them")
            stored = [each for each in stored if each.name in wanted]
        if not any(each.passages for each in stored):
            raise LibraryError("there is nothing to search yet; add documents first")
        return stored

    def _first_stage(self, stored: list[Stored]) -> FirstStage:
        """The first stage over `stored`, kept until other documents are asked or one changes."""
        key = tuple(each.id for each in stored)
        if self._stage is None or self._stage[0] != key:
            self._stage = None  # frees its vectors before the next are read
            self._stage = (key, FirstStage(self._store, stored))
        return self._stage[1]

    def _rank(
        self, stage: FirstStage, question: str, effort: Effort, depth: int, progress: Progress | None
    ) -> tuple[Rows, Scores]:
        embedder = None if effort == "fast" else self._dense_embedder(progress)
        if embedder is None:
            return ranking.rank_fast(stage, question, depth)
        return ranking.rank_dense(
            stage, question, self._store, embedder,
            candidates=None if effort == "thorough" else max(ranking.CANDIDATES, depth // 4),
            depth=depth, progress=progress,
        )  # fmt: skip

    def _dense_embedder(self, progress: Progress | None) -> Embedder | None:
        """The second stage's embedder; None, with a note, where the default one cannot be had."""
        if self._embedder_name == "static":
            return None
        if self._embedder is None:
            try:
                self._embedder = embedders.open_embedder(self._embedder_name, progress=progress)
            except ModelError as error:
                if self._store.setting("embedder") is not None:
                    raise
                self.notes.append(f"no dense embedder ({error}); ranked by static vectors and BM25 alone")
                return None
            if self._store.writable:
                self._store.settle("embedder", self._embedder.name)
        return self._embedder

    def _unranked(self, stored: list[Stored], ranked: list[Ranked]) -> list[Ranked]:
        """The passages that share nothing with the question, after the ranked ones, so that a whole document is
        whole."""
        seen = {(each.passage.document, each.passage.index) for each in ranked}
        rest = [
            passage
            for each in stored
            for passage in self._store.passages(each, range(each.passages))
            if (passage.document, passage.index) not in seen
        ]
        return [Ranked(passage, len(ranked) + place, 0.0) for place, passage in enumerate(rest, start=1)]


def library_folder(path: str | Path | None) -> Path:
    """The folder of the library at `path`, by default `library` in Seriatim's home.

    Raises `UsageError` for what is no path, `LibraryError` for one that cannot be found.
    """
    if not (path is None or isinstance(path, str | Path)):
        raise UsageError(f"a library's folder is named by a str or a Path, not by {path!r}")
    try:
        return (Path(path) if path is not None else home() / "library").expanduser()
    except RuntimeError as error:
        raise LibraryError(f"the library folder {path} cannot be found: {error}") from error


def check_request(
    question: object,
    *,
    tokens: object = DEFAULT_TOKENS,
    passages: object = None,
    order: object = "document",
    effort: object = "balanced",
    progress: object = None,
) -> None:
    """Raise `UsageError` for a request that makes no sense, before anything is done for it."""
    if not isinstance(question, str):
        raise UsageError(f"the question is a str, not {question!r}")
    if all(category(character)[0] in "PZC" for character in question):  # marks, spaces and what is not seen
        raise UsageError("the question is empty; ask something")
    for name, count, given in (("tokens", tokens, tokens != "auto"), ("passages", passages, passages is not None)):
        if given and (not isinstance(count, Integral) or isinstance(count, bool) or count < 1):
            allowed = ", or auto" if name == "tokens" else ""
            raise UsageError(f"{name} must be a whole number, at least 1{allowed}, not {count!r}")
    if order not in ORDERS:
        raise UsageError(f"the order is one of {', '.join(ORDERS)}, not {order!r}")
    if effort not in EFFORTS:
        raise UsageError(f"the effort is one of {', '.join(EFFORTS)}, not {effort!r}")
    if not (progress is None or callable(progress)):
        raise UsageError(f"progress is a function or None, not {progress!r}")


def _resolve(named: str | Path, known: Sequence[str]) -> str:
    """The one known document that `named` stands for: its full name, its resolved path, or a path's ending."""
    name = str(named)
    if name in known:
        return name
    try:
        resolved = str(Path(name).expanduser().resolve())
    except (OSError, RuntimeError, ValueError):  # no such user, a loop of links, a name that no file can have
        resolved = name
    if resolved in known:
        return resolved
    fitting = [each for each in known if each.endswith(f"/{name}")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise LibraryError(f"{name} fits several documents: {', '.join(sorted(fitting))}; give the full path")
    raise LibraryError(f"the library holds no document {name}; see seriatim library list")


def _folder(path: Path) -> Path | None:
    """The folder that `path` is, resolved; None for anything else, such as "~nobody" or one that may not be entered."""
    try:
        return path.expanduser().resolve() if path.expanduser().is_dir() else None
    except (OSError, RuntimeError):
        return None


def _gone(held: Iterable[str], paths: Iterable[str | Path], sources: set[str]) -> list[str]:
    """Documents of the library that stood in one of the folders among `paths` and are there no more."""
    folders = [folder for path in paths if str(path) != "-" and (folder := _folder(Path(path)))]
    return [
        name
        for name in held
        if name not in sources and any(folder in Path(name).parents for folder in folders) and not Path(name).exists()
    ]
