"""The pictures of the page in docs/: a real server and Chromium, a scripted model so that a reflection shows.

    python benchmarks/page_pictures.py docs

Takes what `pip install '.[dev]'` brings, and Chromium.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.conftest import ARGUMENTS, CHROMIUM, SAMPLE, Server, letters, serving
from tests.browser.steps import ask, begin, opened
from tests.server.test_jobs import endless

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
    _answer(page, folder)
    _follow_up(page, folder)
    _not_told(page, folder)
    _phone(browser, server, folder)
    _pdf(browser, server, folder)
    _queue(browser, server, folder)
    _uploads(browser, server, folder)
    _away(browser, server, folder)


def _answer(page: Any, folder: Path) -> None:
    ask(page, "What wage did Mr Rooke pay Wilf Anning?")
    _new(page)
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.quoted.here")
    _shot(page, folder / "page-light.png")
    page.emulate_media(color_scheme="dark")
    _shot(page, folder / "page-dark.png")
    page.emulate_media(color_scheme="light")
    page.keyboard.press("Escape")


def _follow_up(page: Any, folder: Path) -> None:
    ask(page, "And at what wage did he take Wilf Anning as staff-holder?")
    _shot(page, folder / "page-follow-up.png")


def _not_told(page: Any, folder: Path) -> None:
    _new(page)
    ask(page, "What tax did the brewery pay in 1890?")
    _shot(page, folder / "page-not-told.png")


def _phone(browser: Any, server: Server, folder: Path) -> None:
    small = browser.new_page(viewport=PHONE)
    small.goto(server.url)
    begin(small, "Go slowly: how many years had Mr Rooke been a surveyor?")
    small.wait_for_timeout(8000)
    small.screenshot(path=folder / "page-phone.png")
    small.close()


def _pdf(browser: Any, server: Server, folder: Path) -> None:
    httpx.post(f"{server.url}/api/libraries", json={"name": "papers"}).raise_for_status()
    server.add("letters.pdf", letters(), library="papers")
    page = browser.new_page(viewport=WIDE)
    opened(page, server, "#/library/papers")
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.quoted.here")
    page.locator(".page-image").evaluate("image => image.decode()")
    _shot(page, folder / "page-pdf.png")
    page.close()


def _queue(browser: Any, server: Server, folder: Path) -> None:
    first, second = browser.new_page(viewport=WIDE), browser.new_page(viewport=WIDE)
    opened(first, server)
    begin(first, "Go slowly: how many years had Mr Rooke been a surveyor?")
    first.wait_for_selector(".stretch.plan")
    opened(second, server)
    begin(second, "What wage did Mr Rooke pay Wilf Anning?")
    second.wait_for_selector(".stage:has-text('before this one')")
    _shot(second, folder / "page-queue.png")
    first.close()
    second.close()


def _uploads(browser: Any, server: Server, folder: Path) -> None:
    httpx.post(f"{server.url}/api/libraries", json={"name": "archive"}).raise_for_status()
    page = browser.new_page(viewport=WIDE)
    page.goto(f"{server.url}/#/library/archive")
    page.wait_for_selector(".dropzone")
    files = {"letters.pdf": letters(), "scan.pdf": b"no PDF", "the whole archive.pdf": endless()}
    files |= {SAMPLE.name: SAMPLE.read_bytes()}
    page.set_input_files(
        "#files",
        [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files.items()],
    )
    page.wait_for_selector(".upload.failed")
    page.wait_for_selector(".document >> text=letters.pdf")
    page.wait_for_selector(".upload:has-text('Reading')")
    page.screenshot(path=folder / "page-uploads.png")
    page.close()


def _away(browser: Any, server: Server, folder: Path) -> None:
    page = browser.new_page(viewport=WIDE)
    opened(page, server)
    begin(page, "Go slowly: how many years had Mr Rooke been a surveyor?")
    page.wait_for_selector(".stretch.thinking")
    server.kill()
    page.wait_for_selector("#banner:has-text('seriatim serve')")
    _shot(page, folder / "page-away.png")


def _new(page: Any) -> None:
    page.get_by_role("button", name="New question").click()
    page.locator(".actions").wait_for(state="detached")


def _shot(page: Any, path: Path) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
