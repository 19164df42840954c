"""Files → text with exact character offsets, and text → passages."""

from seriatim.documents.document import Document, Passage
from seriatim.documents.limits import Limits
from seriatim.documents.reading import parse
from seriatim.documents.sources import find_sources, read_source

__all__ = ["Document", "Limits", "Passage", "find_sources", "parse", "read_source"]
