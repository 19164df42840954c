"""The pictures of the page in docs/: a real server and Chromium, a scripted model so that a reflection shows.

    python benchmarks/page_pictures.py docs

Takes what `pip install '.[dev]'` brings, and Chromium.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.conftest import ARGUMENTS, CHROMIUM, SAMPLE, Server, serving
from tests.browser.steps import ask, begin, opened

WIDE, PHONE = {"width": 1360, "height": 850}, {"width": 360, "height": 740}


def main() -> None:
    folder = Path(sys.argv[1])
    with (
        tempfile.TemporaryDirectory() as home,
        serving(Path(home), "tests.browser.scripted_server", "{home}", "{port}") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        _pictures(browser, server, folder)
        browser.close()


def _pictures(browser: Any, server: Server, folder: Path) -> None:
    page = browser.new_page(viewport=WIDE)
    page.goto(server.url)
    page.wait_for_selector("text=Begin with a long document")
    page.screenshot(path=folder / "page-empty.png")
    server.add(SAMPLE.name, SAMPLE.read_bytes())
    page.reload()
    opened(page, server)
    ask(page, "What wage did Mr Rooke pay Wilf Anning?")
    page.get_by_role("button", name="New question").click()
    page.locator(".actions").wait_for(state="detached")
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.quoted.here")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)
    page.screenshot(path=folder / "page-light.png")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "page-dark.png")
    page.emulate_media(color_scheme="light")
    small = browser.new_page(viewport=PHONE)
    small.goto(server.url)
    begin(small, "Go slowly: how many years had Mr Rooke been a surveyor?")
    small.wait_for_timeout(8000)
    small.screenshot(path=folder / "page-phone.png")


if __name__ == "__main__":
    main()
