"""What has the focus keeps it while what stands around it is drawn anew, and never loses it to the page as a whole."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Server
from tests.browser.steps import YEARS, ask, begin, focused, opened

pytestmark = pytest.mark.browser


@pytest.fixture
def letters(scripted: Server) -> Iterator[str]:
    """A library with two documents, of the test's own."""
    name = "focus"
    httpx.post(f"{scripted.url}/api/libraries", json={"name": name}).raise_for_status()
    scripted.add("a.txt", b"Mr Rooke had been a surveyor for twenty-six years.", library=name)
    scripted.add("b.txt", b"The gauge was read at seven.", library=name)
    yield name
    httpx.delete(f"{scripted.url}/api/libraries/{name}")


def test_pages_are_turned_by_one_key(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/papers")
    page.click("#documents .document-name")
    page.get_by_role("button", name="Page after").focus()
    for number in range(2, 7):
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#source >> text=Page {number} of 6")
        assert focused(page) == "Page after"
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#source >> text=Page 5 of 6")
    assert focused(page) == "Page before"


def test_passages_are_gone_through_by_one_key(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    last = page.locator(".tick").count()
    page.locator(".tick").first.click()
    page.get_by_role("button", name="Passage after").focus()
    for number in range(2, last + 1):
        page.keyboard.press("Enter")
        page.wait_for_selector(f".source-steps:has-text('{number} of {last}')")
        page.wait_for_selector("#source mark.here")
        assert focused(page) == "Passage after"


def test_the_rest_of_a_document_is_read_by_one_key(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    page.click("#documents .document-name")
    page.wait_for_selector("#source >> text=Later")
    later = page.get_by_role("button", name="Later")
    later.focus()
    while later.is_visible():
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
        assert focused(page) in ("Later", "Text of the document")
    assert focused(page) == "Text of the document"


def test_an_answer_is_opened_from_the_list_and_the_focus_stays_there(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page, "What wage did Mr Rooke pay for the list?")
    page.click("#question-new")
    page.wait_for_selector(".welcome h1")
    page.locator("#answers a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".actions")
    page.wait_for_selector("#answers a[aria-current=page]:focus")
    other = page.context.new_page()
    opened(other, scripted, "#/library/default")
    ask(other, "And what wage in another tab?")
    page.wait_for_selector("#answers li:nth-child(2) a[aria-current=page]:focus")


def test_passages_that_are_read_stay_open_when_the_answer_comes(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    begin(page, f"{YEARS} Read slowly.")
    page.click("details.reading summary")
    page.locator(".passage").nth(1).focus()
    reading = focused(page)
    page.wait_for_selector(".actions")

    assert page.get_attribute("details.reading", "open") is not None
    assert page.locator(".reading li.cited").count()
    assert focused(page) == reading


def test_a_list_that_changes_keeps_the_focus(page: Any, scripted: Server, letters: str) -> None:
    opened(page, scripted, f"#/library/{letters}")
    page.get_by_role("button", name="Remove b.txt").focus()
    page.set_input_files("#files", {"name": "aa.txt", "mimeType": "text/plain", "buffer": b"Another paper."})
    page.wait_for_selector("#documents >> text=aa.txt")
    assert focused(page) == "Remove b.txt"
    for gone, after in (("b.txt", "Remove aa.txt"), ("aa.txt", "Remove a.txt")):
        page.keyboard.press("Enter")
        page.click("#dialog-ok")
        page.wait_for_selector(f".document >> text=/^{gone}/", state="detached")
        assert focused(page) == after
    page.keyboard.press("Enter")
    page.click("#dialog-ok")
    page.wait_for_selector(".dropzone")
    page.wait_for_selector("#main:focus")


def test_a_question_is_asked_and_stopped_by_its_buttons(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    page.fill("#question", "What is read slowly?")
    page.focus("#submit")
    page.keyboard.press("Enter")
    page.wait_for_selector(".stretch.plan")
    assert page.evaluate("document.activeElement.id") == "main"
    page.focus("#stop")
    page.keyboard.press("Enter")
    page.wait_for_selector(".failed[role=status]")
    assert page.evaluate("document.activeElement.id") == "question"
    page.get_by_role("button", name="Ask again").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[aria-busy] .stretch.plan")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("width", [360, 800])
def test_what_the_source_covers_cannot_be_reached(page: Any, scripted: Server, width: int) -> None:
    opened(page, scripted)
    ask(page)
    page.set_viewport_size({"width": width, "height": 740})
    page.focus(".cite >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_selector("#source mark.here")
    covered = page.locator("#source").bounding_box()["x"] <= page.locator("#main").bounding_box()["x"]
    assert covered
    for _ in range(20):
        page.keyboard.press("Tab")
        assert not page.evaluate("document.querySelector('#main').contains(document.activeElement)")
    page.keyboard.press("Escape")
    page.wait_for_selector("#source", state="hidden")
    assert page.evaluate("document.activeElement.className") == "cite"


def test_beside_a_source_that_covers_it_in_part_the_thread_can_be_reached(page: Any, scripted: Server) -> None:
    page.set_viewport_size({"width": 900, "height": 740})
    opened(page, scripted)
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.here")
    page.focus("#question")
    assert page.evaluate("document.activeElement.id") == "question"


def test_on_a_telephone_an_answer_from_the_list_takes_the_focus_along(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    page.click("#question-new")
    page.wait_for_selector(".welcome h1")
    page.set_viewport_size({"width": 360, "height": 740})
    page.click("#menu")
    page.locator("#answers a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".cite")
    page.wait_for_selector("#main:focus")
