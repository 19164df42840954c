"""A page of a PDF → a PNG image. Runs in the worker process alone, like everything that reads a stranger's PDF."""

import io

import pypdfium2
from pypdfium2 import PdfiumError

from seriatim.documents.extraction import Unreadable

_WIDTH, _HEIGHT = 1400, 2000  # pixels at most, whatever size the page says it has
_SHARPEST = 3.0  # pixels a point


def page_png(data: bytes, number: int) -> bytes:
    """Page `number`, from 1, no larger than 1400 x 2000 pixels. Raises `Unreadable`. Needs Pillow, of `[serve]`."""
    try:
        document = pypdfium2.PdfDocument(data)
        if not 1 <= number <= len(document):
            raise Unreadable(f"has {len(document)} pages, and no page {number}")
        page = document[number - 1]
        width, height = page.get_size()
        scale = min(_SHARPEST, _WIDTH / max(width, 1), _HEIGHT / max(height, 1))
        image = page.render(scale=scale).to_pil()
    except PdfiumError as error:
        raise Unreadable(f"is damaged at page {number}; the page cannot be shown") from error
    image.thumbnail((_WIDTH, _HEIGHT))
    written = io.BytesIO()
    image.convert("RGB").save(written, "PNG")
    return written.getvalue()
