"""The reading strip and the source beside the answer."""

import textwrap
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Server, letters
from tests.browser.steps import answer_id, ask, opened, texts

pytestmark = pytest.mark.browser


def citations(server: Server, page: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/api/answers/{answer_id(page)}").json()["citations"]
    return found


def test_a_click_on_a_number_opens_the_source_with_the_quoted_words_marked(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    quote = citations(scripted, page)[0]["quote"]
    page.click(".cite >> nth=0")

    page.wait_for_selector("#source mark.quoted.here")
    assert quote in "".join(texts(page, "#source mark.quoted"))
    box = page.locator("#source mark.quoted.here").first.bounding_box()
    assert 52 < box["y"] < 860
    page.click("#source >> text=Later")
    page.wait_for_selector("#source >> text=staff-holder at a crown a week")


def test_the_strip_shows_a_passage_and_opens_it(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    tick = page.locator(".tick.read").first
    tick.hover()
    page.wait_for_selector(".tip")
    text = page.inner_text(".tip-text")[:40]
    tick.click()

    page.wait_for_selector("#source mark.here")
    assert text[:20] in " ".join("".join(texts(page, "#source .here")).split())


def test_the_passages_can_be_read_one_after_another(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    page.locator(".tick").first.click()
    page.wait_for_selector(".source-steps:has-text('1 of')")
    page.get_by_role("button", name="Passage after").click()
    page.wait_for_selector(".source-steps:has-text('2 of')")
    page.wait_for_selector("#source mark.here")


def test_passages_keep_their_places_when_their_document_is_removed(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "removing"}).raise_for_status()
    scripted.add("letters.pdf", letters(), library="removing")
    opened(page, scripted, "#/library/removing")
    ask(page)
    places = "ticks => ticks.map(tick => [tick.style.left, tick.style.width])"
    before = page.eval_on_selector_all(".tick", places)
    assert texts(page, ".strip-name .hint") == ["6 pages"]
    page.get_by_role("button", name="Remove letters.pdf").click()
    page.click("#dialog-ok")
    page.wait_for_selector(".document", state="detached")
    page.reload()

    page.wait_for_selector(".tick")
    assert page.eval_on_selector_all(".tick", places) == before
    assert texts(page, ".strip-name .hint") == ["6 pages"]


def test_a_pdf_is_shown_as_its_page_beside_its_text_with_the_quote_marked(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/papers")
    ask(page)
    cited = citations(scripted, page)[0]
    page.click(".cite >> nth=0")

    image = page.wait_for_selector("img.page-image")
    picture, words = image.bounding_box(), page.locator("#source .document-text").bounding_box()
    assert picture["x"] + picture["width"] <= words["x"]
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    page.wait_for_selector("#source mark.quoted")
    assert " ".join(cited["quote"].split()) in " ".join("".join(texts(page, "#source mark.quoted")).split())
    assert f"Page {cited['page']} of 6" in page.inner_text("#source")
    page.get_by_role("button", name="Page after").click()
    page.wait_for_selector(f"#source >> text=Page {cited['page'] + 1} of 6")


def test_offsets_hold_beyond_the_basic_plane(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "emoji"}).raise_for_status()
    text = "🐴🐑 " * 700 + "In twenty-six years Mr Rooke had been a surveyor 🗺️ and nothing else. " + "𝔘 " * 900
    scripted.add("emoji.txt", text.encode(), library="emoji")
    opened(page, scripted, "#/library/emoji")
    ask(page)
    quote = citations(scripted, page)[0]["quote"]
    page.click(".cite >> nth=0")

    page.wait_for_selector("#source mark.quoted")
    assert "".join(texts(page, "#source mark.quoted")) == quote


def test_a_wrapped_book_flows_also_where_more_of_it_is_shown(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "wrapped"}).raise_for_status()
    words = "In twenty-six years as a surveyor Mr Rooke had found no lake that was so still as this one. "
    book = "\n\n".join(textwrap.fill(f"Part {n}. {words * 7}", 72) for n in range(30))
    scripted.add("book.txt", book.encode(), library="wrapped")
    opened(page, scripted, "#/library/wrapped")
    page.click("#documents .document-name")
    page.click("#source >> text=Later")
    page.wait_for_selector(".document-text:has-text('Part 6.')")
    paragraphs = page.locator(".document-text").text_content().split("\n\n")
    assert paragraphs[:6] == [f"Part {n}. {words * 7}".strip() for n in range(6)]


def test_an_answer_outlives_its_document(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "passing"}).raise_for_status()
    scripted.add("letter.txt", b"In twenty-six years as a surveyor Mr Rooke had found no lake.", library="passing")
    scripted.add("other.txt", b"Nothing stands here.", library="passing")
    opened(page, scripted, "#/library/passing")
    ask(page)
    page.get_by_role("button", name="Remove letter.txt").click()
    page.click("#dialog-ok")
    page.wait_for_selector("#documents >> text=letter.txt", state="detached")
    page.click(".cite >> nth=0")

    page.wait_for_selector("#source >> text=no longer in the library")
    assert "twenty-six years" in page.inner_text("#source .document-text")


def test_a_page_that_cannot_be_fetched_says_so_and_the_one_shown_stays(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/papers")
    page.click("#documents .document-name")
    page.wait_for_selector("#source >> text=Page 1 of 6")
    page.route("**/text?*", lambda route: route.abort())
    page.get_by_role("button", name="Page after").click()
    page.wait_for_selector("#toast:has-text('seriatim serve')")
    assert "Page 1 of 6" in page.inner_text("#source")
