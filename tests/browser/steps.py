"""What a person does at the page, as functions of the tests."""

from typing import Any

YEARS = "How many years had Mr Rooke been a surveyor?"


def opened(page: Any, server: Any, route: str = "#/") -> None:
    """Open the page; a library with documents is shown when this returns."""
    page.goto(f"{server.url}/{route}")
    page.wait_for_selector(".document")


def ask(page: Any, question: str = YEARS) -> None:
    """Ask, and wait for the finished answer."""
    finished = page.locator(".actions").count()
    begin(page, question)
    page.locator(".actions").nth(finished).wait_for()


def begin(page: Any, question: str) -> None:
    """Ask, and do not wait."""
    page.fill("#question", question)
    page.press("#question", "Enter")


def answer_id(page: Any) -> str:
    """The id of the answer that the address names."""
    return str(page.evaluate("location.hash.match(/^#.answer.([0-9a-f]+)/)[1]"))


def texts(page: Any, selector: str) -> list[str]:
    return [str(text) for text in page.locator(selector).all_text_contents()]


def focused(page: Any) -> str:
    """The label of what has the focus."""
    label = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    return str(page.evaluate(label)).strip()
