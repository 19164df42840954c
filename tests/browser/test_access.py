"""The page for everybody: keyboard alone, screen readers, small screens, both colour schemes."""

from typing import Any

import pytest

from tests.browser.conftest import Server
from tests.browser.steps import YEARS, ask, begin, opened

pytestmark = pytest.mark.browser


def faults(page: Any) -> list[str]:
    """What axe-core finds of serious or critical impact."""
    from axe_playwright_python.sync_playwright import Axe  # where there is a browser, this must be there too

    page.locator("#main").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": rules})
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def overflows(page: Any) -> list[str]:
    """What reaches beyond the right edge of the window, itself not in something that scrolls or is cut off."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((each) => each.checkVisibility() && !each.closest(".sr") && !each.closest(".skip"))
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
            .map((each) => each.outerHTML.slice(0, 120))"""
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_any_state(browser: Any, scripted: Server, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{scripted.url}/#/library/default")
    page.wait_for_selector(".document")
    assert faults(page) == [], "ready"
    begin(page, "What is read slowly?")
    page.wait_for_selector(".stretch.plan")
    assert faults(page) == [], "streaming"
    page.click("#stop")
    page.wait_for_selector(".failed")
    assert faults(page) == [], "stopped"
    ask(page)
    page.click("details.process summary")
    page.click("details.reading summary")
    page.locator(".tick.cited").first.hover()
    assert faults(page) == [], "answer"
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.here")
    assert faults(page) == [], "source"
    page.click("#model-menu summary")
    assert faults(page) == [], "models"
    page.click("#reading-menu summary")
    assert faults(page) == [], "reading"
    page.click("#library-new")
    assert faults(page) == [], "dialog"
    context.close()


@pytest.mark.parametrize("state", ["empty", "answer", "source", "pages", "menu", "models", "reading"])
def test_nothing_is_lost_at_360_pixels(page: Any, scripted: Server, state: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    if state == "empty":
        page.route("**/documents", lambda route: route.fulfill(json=[]))
        page.goto(scripted.url)
        page.wait_for_selector(".dropzone")
    else:
        page.goto(f"{scripted.url}/#/library/{'papers' if state == 'pages' else 'default'}")
        page.wait_for_selector(".document", state="attached")
        ask(page)
    if state in ("source", "pages"):
        page.click(".cite >> nth=0")
        page.wait_for_selector("#source mark.here")
    if state == "menu":
        page.click("#menu")
        page.wait_for_selector("#sidebar .document")
    if state in ("models", "reading"):
        page.click(f"#{state.removesuffix('s')}-menu summary")
        page.wait_for_selector(f"#{state}", state="visible")
        panel = page.locator(f"#{state}").bounding_box()
        assert panel["y"] >= 0
        assert panel["width"] > 280
    assert overflows(page) == []
    assert faults(page) == []


def test_the_words_of_a_menu_can_be_pressed(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    page.click("#reading-menu summary")
    page.click("#reading-menu label:has-text('quick') span >> nth=0")
    assert page.is_checked("#reading-menu input[value='512']")


@pytest.mark.parametrize("menu", ["model", "reading"])
def test_a_menu_lies_beside_the_source_and_not_under_it(page: Any, scripted: Server, menu: str) -> None:
    opened(page, scripted)
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.here")
    page.click(f"#{menu}-menu summary")
    panel = page.locator(f"#{menu}-menu .menu-panel").bounding_box()
    assert panel["x"] + panel["width"] <= page.locator("#source").bounding_box()["x"]
    assert panel["y"] >= page.locator("#main").bounding_box()["y"]


def test_everything_is_done_by_keyboard_alone(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    focused = "document.activeElement"
    assert page.evaluate(f"{focused}.id") == "question"
    page.keyboard.type(YEARS)
    page.keyboard.press("Enter")
    page.wait_for_selector(".actions")

    _tab_to(page, ".tick")
    page.keyboard.press("End")
    assert page.evaluate(f"{focused}.matches('.tick:last-child')")
    page.keyboard.press("Home")
    page.wait_for_selector(".tip:has-text('Passage 1')")
    page.keyboard.press("Escape")
    assert page.is_hidden(".tip")
    _tab_to(page, "details.process summary")
    page.keyboard.press("Enter")
    assert page.get_attribute("details.process", "open") is not None
    _tab_to(page, ".cite")
    page.keyboard.press("Enter")
    page.wait_for_selector("#source mark.here")
    assert page.evaluate(f"{focused}.id") == "source-name"
    _tab_to(page, "#source .icon-button:has(.sr:text('Close'))", css="#source .source-steps button:last-child")
    page.keyboard.press("Escape")
    page.wait_for_selector("#source", state="hidden")
    assert page.evaluate(f"{focused}.className") == "cite"
    _tab_to(page, "#model-summary")
    page.keyboard.press("Enter")
    assert page.is_visible("#models")
    page.keyboard.press("Escape")
    assert page.is_hidden("#models")
    assert page.evaluate(f"{focused}.id") == "model-summary"


def _tab_to(page: Any, selector: str, css: str | None = None) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", css or selector):
            visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert visible != "none", "the focus is not seen"
            return
    raise AssertionError(f"{selector} is not reached with the Tab key")


def test_the_skip_link_leads_to_the_question(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    page.focus("#skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "question"


def test_screen_readers_hear_the_stages_and_the_answer(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    page.evaluate(
        """() => {
            window.heard = [];
            const live = document.getElementById("live");
            new MutationObserver(() => window.heard.push(live.textContent)).observe(live, { childList: true });
        }"""
    )
    ask(page)
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_selector("#toast:has-text('The link is copied')")
    heard = page.evaluate("window.heard")
    assert "The link is copied." in heard
    assert "Thinking" in heard
    assert any(each.startswith("The answer: Mr Rooke") for each in heard)
    labels = page.eval_on_selector_all(".tick", "ticks => ticks.map(tick => tick.getAttribute('aria-label'))")
    assert all(label.startswith("Passage ") for label in labels)
    assert any(", cited: " in label for label in labels)


def test_motion_and_colours_follow_the_system_until_one_is_chosen(page: Any, scripted: Server) -> None:
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    opened(page, scripted)
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) != dark
    assert page.get_attribute("html", "data-theme") == "light"
