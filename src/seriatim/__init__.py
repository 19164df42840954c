"""Ask long documents questions.

The right passages are read in their original order by an open model on your own machine, which plans, thinks, corrects
itself, and answers with checked citations.

>>> import seriatim
>>> answer = seriatim.ask("Who signed the lease?", "contracts/")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seriatim.answering import Answer, ask
    from seriatim.documents.document import Document, Passage
    from seriatim.errors import SeriatimError
    from seriatim.retrieval.context import Context
    from seriatim.retrieval.library import Library

    __version__: str

__all__ = ["Answer", "Context", "Document", "Library", "Passage", "SeriatimError", "__version__", "ask"]

_HOMES = {
    "Answer": "answering",
    "Context": "retrieval.context",
    "Document": "documents.document",
    "Library": "retrieval.library",
    "Passage": "documents.document",
    "SeriatimError": "errors",
    "ask": "answering",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import seriatim` stays quick."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("seriatim")
        except PackageNotFoundError:  # run from a checkout that is not installed
            return "0+unknown"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
