"""A first visit: the real command, the real model, from an empty page to a checked citation."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import serving
from tests.browser.steps import texts

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

# The smallest model answers some questions about a page, none about a book, and reconsiders nothing.
LOG = """The keeper of the lighthouse at Skerry Point is Martha Quill. She has kept the light for thirty-one years.

Every evening she writes the wind, the height of the sea and the names of passing ships in a book with a green cover.

The lamp burns whale oil, which the supply boat brings each March. \
In the winter of 1861 the boat did not come, and she burned butter instead.
"""


def test_from_an_empty_page_to_a_citation_checked_in_the_source(page: Any, tmp_path: Path, reader_path: Path) -> None:
    options = ("--no-browser", "--port", "{port}", "--model", str(reader_path), "--embedder", "static")
    with serving(tmp_path, "seriatim", "serve", *options) as server:
        page.goto(server.url)
        page.wait_for_selector(".dropzone")
        page.set_input_files("#files", {"name": "k.txt", "mimeType": "text/plain", "buffer": LOG.encode()})
        page.wait_for_selector("#documents >> text=k.txt")
        page.click("#reading-menu summary")
        page.uncheck("#reading input[type=checkbox]")
        page.keyboard.press("Escape")
        page.fill("#question", "Who is the keeper of the lighthouse?")
        page.press("#question", "Enter")
        page.wait_for_selector(".actions", timeout=600_000)

        assert "Martha Quill" in page.inner_text(".output")
        assert page.locator(".tick.cited").count() == 1
        page.click(".cite >> nth=0")
        page.wait_for_selector("#source mark.quoted.here")
        marked = "".join(texts(page, "#source mark.quoted"))
        assert "Martha Quill" in marked
        assert marked in LOG
