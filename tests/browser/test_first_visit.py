"""A first visit: the real command, the real model, from an empty page to a checked citation."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import SAMPLE, serving
from tests.browser.steps import texts

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow]


def test_from_an_empty_page_to_a_citation_checked_in_the_source(
    page: Any, tmp_path: Path, reader_path: Path
) -> None:
    options = ("--no-browser", "--port", "{port}", "--model", str(reader_path), "--embedder", "static")
    with serving(tmp_path, "seriatim", "serve", *options) as server:
        page.goto(server.url)
        page.wait_for_selector(".dropzone")
        page.set_input_files("#files", SAMPLE)
        page.wait_for_selector("#documents >> text=sennet-water.md")
        page.fill("#question", "How many years had Mr Rooke been a surveyor?")
        page.press("#question", "Enter")
        page.wait_for_selector(".actions", timeout=240_000)

        assert page.inner_text(".output").strip()
        assert page.locator(".tick.cited").count() > 0
        page.locator(".citation").first.click()
        page.wait_for_selector("#source mark.quoted.here")
        marked = "".join(texts(page, "#source mark.quoted"))
        assert marked
        assert marked in SAMPLE.read_text() or len(texts(page, "#source mark.quoted")) > 1
