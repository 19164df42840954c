"""`seriatim add` and `seriatim library`: documents kept for asking again."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from seriatim.cli.scope import EmbedderOption, JsonOption, LibraryOption, kept, take_in

if TYPE_CHECKING:
    from seriatim.cli.screen import Screen
    from seriatim.retrieval.reports import AddReport, DocumentInfo, LibraryStatus

app = typer.Typer(help="See and change what your library holds.", rich_markup_mode=None, no_args_is_help=True)


def add(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files, folders, globs, or - for standard input.")],
    library: LibraryOption = None,
    embedder: EmbedderOption = None,
    json: JsonOption = False,
) -> None:
    """Keep documents in your library. Unchanged files cost nothing.

    The exit status is 1 where a PATH gave no document; the others are kept. A file in a folder that cannot be read is
    listed and does not count.
    """
    from seriatim.cli.printing import notice, print_json
    from seriatim.cli.screen import open_screen
    from seriatim.retrieval.library import Library

    with Library(library, embedder=embedder) as opened:
        report = take_in(opened, paths)
        for note in opened.notes:
            notice(note)
    if json:
        failed = [{"document": name, "reason": reason} for name, reason in report.failed]
        print_json(asdict(report) | {"failed": failed, "documents": report.documents})
    else:
        _show_report(open_screen(sys.stdout), report)
    if report.missing:
        raise typer.Exit(1)


@app.command("list")
def list_documents(library: LibraryOption = None, json: JsonOption = False) -> None:
    """List the documents of the library."""
    from seriatim.cli.printing import print_json
    from seriatim.cli.screen import open_screen
    from seriatim.retrieval.library import Library

    with Library(kept(library)) as opened:
        documents = opened.documents()
    if json:
        print_json({"documents": [asdict(info) for info in documents]})
    else:
        _show_documents(open_screen(sys.stdout), documents, str(opened.path))


@app.command()
def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="A path, or as much of its end as only one document has.")
    ],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Remove documents from the library. The files themselves are not touched."""
    from seriatim.cli.printing import print_json
    from seriatim.cli.screen import open_screen
    from seriatim.documents.extraction import printable
    from seriatim.retrieval.library import Library

    with Library(kept(library)) as opened:
        removed = opened.remove(names)
    if json:
        print_json({"removed": removed})
    else:
        for name in removed:
            open_screen(sys.stdout).write(f"removed {printable(name)}\n")


@app.command()
def status(library: LibraryOption = None, json: JsonOption = False) -> None:
    """Say how large the library is, and check that it is sound."""
    from seriatim.cli.printing import print_json
    from seriatim.cli.screen import open_screen
    from seriatim.retrieval.library import Library

    with Library(kept(library)) as opened:
        found = opened.status()
    if json:
        print_json(asdict(found))
    else:
        _show_status(open_screen(sys.stdout), found)


def _show_report(screen: "Screen", report: "AddReport") -> None:
    from seriatim.cli.literal import plural
    from seriatim.documents.extraction import printable

    for outcome in ("added", "changed", "removed"):
        for name in getattr(report, outcome):
            screen.write(f"{outcome:8}", "bold")
            screen.write(f" {printable(name)}\n")
    if report.unchanged:
        screen.write(f"{plural(len(report.unchanged), 'document')} unchanged\n", "dim")


def _show_documents(screen: "Screen", documents: Sequence["DocumentInfo"], path: str) -> None:
    from seriatim.cli.literal import plural
    from seriatim.documents.extraction import printable

    if not documents:
        screen.write(f"The library {printable(path)} is empty; keep documents with: seriatim add PATH\n")
        return
    dot = screen.glyph(" · ", ", ")
    for info in documents:
        facts = [plural(info.pages, "page")] if info.pages else []
        facts += [plural(info.tokens, "token"), plural(info.passages, "passage"), f"added {info.added_at[:10]}"]
        screen.write(printable(info.name) + "\n", "bold")
        screen.write("  " + dot.join(facts) + "\n", "dim")


def _show_status(screen: "Screen", status: "LibraryStatus") -> None:
    from seriatim.documents.extraction import printable

    embedder = status.embedder or "none yet"
    rows = {
        "library": printable(status.path),
        "documents": f"{status.documents:,}",
        "passages": f"{status.passages:,} (cut by {status.splitting})",
        "tokens": f"{status.tokens:,}",
        "embedded": f"{status.embedded:,} passages by {embedder}; all by {status.static_embedder}",
        "on disk": f"{status.bytes / 1e6:,.1f} MB, all of it read and sound",
    }
    for label, value in rows.items():
        screen.write(f"{label:10} ", "dim")
        screen.write(value + "\n")
