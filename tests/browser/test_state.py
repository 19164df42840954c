"""What outlives a reload, another tab, and the server's death."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.browser.conftest import SAMPLE, Server, serving
from tests.browser.steps import YEARS, answer_id, ask, begin, opened, texts
from tests.server.test_jobs import endless

pytestmark = pytest.mark.browser

BUSY = {"error": {"message": "too many searches are waiting; try again in a moment"}}


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that a test may kill."""
    command = ("tests.browser.scripted_server", "{home}", "{port}")
    with serving(tmp_path_factory.mktemp("mortal"), *command) as server:
        server.add("sennet-water.md", SAMPLE.read_bytes())
        yield server


def test_a_reload_keeps_what_is_shown(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    ask(page, "And what wage did he pay?")
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.here")
    page.click("#theme")
    page.click("#theme")
    page.click("#reading-menu summary")
    page.check("input[value='2048']")
    page.fill("#question", "half a quest")
    before = {name: texts(page, name) for name in (".question", ".output", ".reflection ins", ".source-steps")}
    page.reload()

    page.wait_for_selector("#source mark.here")
    assert {name: texts(page, name) for name in before} == before
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.input_value("#question") == "half a quest"
    assert page.is_checked("input[value='2048']")


def test_a_reload_in_the_middle_gives_the_question_back(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    begin(page, "What is read slowly?")
    page.wait_for_selector(".stretch.plan")
    page.reload()

    page.wait_for_selector(".document")
    assert page.input_value("#question") == "What is read slowly?"


def test_back_closes_the_source_then_leaves_the_answer(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/default")
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.here")
    page.go_back()
    page.wait_for_selector("#source", state="hidden")
    assert page.inner_text(".question") == YEARS
    page.go_back()
    page.wait_for_selector(".welcome h1")


def test_a_killed_server_is_told_of_and_the_page_goes_on_when_it_is_back(page: Any, mortal: Server) -> None:
    opened(page, mortal)
    begin(page, "What is read slowly?")
    page.wait_for_selector(".stretch.plan")
    mortal.kill()

    page.wait_for_selector(".failed[role=alert] >> text=in the middle of this answer")
    page.wait_for_selector("#banner:has-text('seriatim serve')")
    assert "Find" in page.inner_text(".stretch.plan")
    assert page.input_value("#question") == "What is read slowly?"
    mortal.start()
    page.wait_for_selector("#banner", state="hidden")
    page.fill("#question", "")
    page.get_by_role("button", name="Ask again").click()
    page.wait_for_selector(".answer[aria-busy] .stretch.plan")


def test_a_server_that_stops_finishes_the_answer_before_it_is_said_to_be_away(page: Any, mortal: Server) -> None:
    opened(page, mortal)
    begin(page, "What is read slowly?")
    page.wait_for_selector(".stretch.plan")
    assert mortal.process is not None
    mortal.process.terminate()

    page.wait_for_selector("#banner:has-text('finishes this answer')")
    page.wait_for_selector("#banner:has-text('seriatim serve')")
    assert not page.locator(".answer[aria-busy]").count()


def test_an_upload_goes_on_when_the_server_is_back(page: Any, mortal: Server) -> None:
    opened(page, mortal)
    page.set_input_files("#files", {"name": "long.pdf", "mimeType": "application/pdf", "buffer": endless()})
    page.wait_for_selector(".upload:has-text('Reading')")
    mortal.kill()
    page.wait_for_selector(".upload:has-text('Waiting for the server')")
    mortal.start()
    page.wait_for_selector(".upload:has-text('Reading')")


def test_a_model_on_its_way_is_told_of(page: Any, scripted: Server) -> None:
    opening = {"what": "qwen2.5-coder-1.5b", "done": 250, "total": 1000}
    page.route("**/api/health", lambda route: route.fulfill(json={"status": "ok", "opening": opening}))
    opened(page, scripted)
    page.wait_for_selector("#opening:has-text('qwen2.5-coder-1.5b, 25 %')")
    page.unroute("**/api/health")
    page.wait_for_selector("#opening", state="hidden")


def test_answers_and_documents_outlive_the_server(page: Any, mortal: Server) -> None:
    opened(page, mortal)
    ask(page)
    link = page.url
    mortal.kill()
    mortal.start()
    page.goto("about:blank")
    page.goto(link)

    page.wait_for_selector(".cite")
    assert page.inner_text(".question") == YEARS


def test_two_tabs_learn_of_each_other_and_keep_their_own_place(context: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "tabs"}).raise_for_status()
    scripted.add("letter.txt", b"Mr Rooke had been a surveyor for twenty-six years.", library="tabs")
    one, two = context.new_page(), context.new_page()
    opened(one, scripted, "#/library/tabs")
    opened(two, scripted, "#/library/papers")
    ask(one)
    assert two.input_value("#library") == "papers"
    two.select_option("#library", "tabs")
    ask(one, "And what wage in the other tab?")

    two.wait_for_selector("#answers >> text=in the other tab")
    assert two.locator(".answer").count() == 0
    one.set_input_files("#files", {"name": "late.txt", "mimeType": "text/plain", "buffer": b"A late paper."})
    two.wait_for_selector("#documents >> text=late.txt")


def test_a_link_to_what_is_gone_says_so(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source mark.here")
    page.goto(f"{scripted.url}/#/answer/0123456789abcdef")
    page.wait_for_selector(".failed[role=alert] >> text=not kept here")
    assert page.is_hidden("#source")
    assert page.is_hidden("#follow")
    assert page.locator("#answers [aria-current]").count() == 0
    page.click("text=To the beginning")
    page.wait_for_selector(".welcome h1")


def test_an_answer_opens_in_its_own_library(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/papers")
    ask(page)
    key = answer_id(page)
    assert httpx.get(f"{scripted.url}/api/answers/{key}").json()["library"] == "papers"
    opened(page, scripted)
    page.goto(f"{scripted.url}/#/library/default")
    page.goto(f"{scripted.url}/#/answer/{key}")
    page.wait_for_selector(".cite")
    assert page.input_value("#library") == "papers"


def test_what_other_programs_add_and_remove_is_seen_without_a_reload(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "shared"}).raise_for_status()
    opened(page, scripted)
    page.select_option("#library", "shared")
    page.wait_for_selector(".dropzone")

    scripted.add("from-elsewhere.txt", b"Another paper.", library="shared")
    page.wait_for_selector("#documents >> text=from-elsewhere.txt")
    assert page.inner_text(".welcome h1") == "What would you like to know?"
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "shared-too"}).raise_for_status()
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.wait_for_selector("#library option[value='shared-too']", state="attached")
    for name in ("shared-too", "shared"):
        httpx.delete(f"{scripted.url}/api/libraries/{name}").raise_for_status()
    page.wait_for_selector("#toast:has-text('“shared” was removed')")
    page.wait_for_selector("#documents >> text=sennet-water.md")
    assert page.input_value("#library") == "default"


def test_a_link_to_a_library_that_is_gone_says_so(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/nonsuch")
    assert "There is no library “nonsuch”" in page.inner_text("#thread [role=alert]")
    page.wait_for_timeout(300)
    assert page.is_hidden("#welcome")
    page.click("text=To the beginning")
    page.wait_for_selector(".welcome h1")
    assert page.locator("#thread [role=alert]").count() == 0


def test_what_is_shown_stays_while_the_server_is_away(page: Any, mortal: Server) -> None:
    opened(page, mortal)
    ask(page)
    mortal.kill()
    page.click(".cite >> nth=0")
    page.wait_for_selector("#source [role=alert]:has-text('seriatim serve')")
    page.evaluate("location.hash = '#/answer/0123456789abcdef'")

    page.wait_for_selector("#toast:has-text('seriatim serve')")
    assert page.inner_text(".question") == YEARS
    assert page.inner_text(".output").startswith("Mr Rooke")


def test_a_server_that_is_away_again_and_again_is_asked_after_by_one(page: Any, scripted: Server) -> None:
    page.clock.install()
    page.route("**/api/libraries/*/documents", lambda route: route.fulfill(json=[]))
    page.goto(scripted.url)
    page.wait_for_selector(".dropzone")
    asked = []
    for _ in range(3):
        page.route("**/api/health", lambda route: (asked.append(route), route.abort()))
        wait_for_banner(page, "visible")
        asked.clear()
        page.clock.run_for(1600)
        page.wait_for_timeout(300)
        assert len(asked) <= 1
        page.unroute("**/api/health")
        wait_for_banner(page, "hidden")


def wait_for_banner(page: Any, state: str) -> None:
    """Let time go by until it is seen, or is not."""
    for _ in range(20):
        page.clock.run_for(1000)
        page.wait_for_timeout(100)
        if page.is_visible("#banner") == (state == "visible"):
            return
    raise AssertionError(f"the banner is not {state}")


def test_a_model_that_is_gone_gives_way_to_the_usual_one(page: Any, scripted: Server) -> None:
    kept = '{"model": "gone", "tokens": "512", "effort": "fast", "order": "document", "reflect": false, "left": 1}'
    page.add_init_script(f"localStorage.setItem('seriatim.choices', {kept!r})")
    opened(page, scripted)
    assert "scripted" in page.inner_text("#model-summary")
    with page.expect_request("**/ask") as asked:
        ask(page)
    sent = asked.value.post_data_json
    assert (sent["model"], sent["tokens"], sent["reflect"]) == (None, 512, False)


def test_the_page_works_where_the_browser_keeps_nothing(page: Any, scripted: Server) -> None:
    for area in ("localStorage", "sessionStorage"):
        denied = "get() { throw new DOMException('denied', 'SecurityError'); }"
        page.add_init_script(f"Object.defineProperty(window, '{area}', {{ {denied} }})")
    opened(page, scripted)
    page.click("#reading-menu summary")
    page.check("input[value='2048']")
    ask(page)
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") == "light"


def test_a_library_that_cannot_be_loaded_shows_none_of_the_one_before(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/default")
    page.route("**/api/libraries/papers/documents", lambda route: route.fulfill(status=429, json=BUSY))
    page.select_option("#library", "papers")
    page.wait_for_selector(".failed[role=alert] >> text=too many")
    assert page.input_value("#library") == "papers"
    assert page.locator(".document").count() == 0
    page.unroute("**/api/libraries/papers/documents")
    page.click("text=To the beginning")
    page.wait_for_selector("#documents >> text=sennet-water.md")
    page.select_option("#library", "papers")
    page.wait_for_selector("#documents >> text=letters.pdf")


def test_a_library_whose_loading_failed_is_loaded_when_the_server_is_back(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/default")
    page.route("**/api/**", lambda route: route.abort())
    page.select_option("#library", "papers")
    page.wait_for_selector(".failed[role=alert] >> text=seriatim serve")
    assert page.locator(".document").count() == 0
    page.wait_for_selector("#banner", state="visible")
    page.unroute("**/api/**")
    page.wait_for_selector("#documents >> text=letters.pdf")
    page.wait_for_selector(".welcome h1")


def test_back_to_another_library_ends_what_is_being_asked(page: Any, scripted: Server) -> None:
    opened(page, scripted, "#/library/papers")
    page.goto(f"{scripted.url}/#/library/default")
    page.wait_for_selector("#documents >> text=sennet-water.md")
    begin(page, "What is read slowly?")
    page.wait_for_selector(".stretch.plan")
    page.go_back()

    page.wait_for_selector("#toast:has-text('was stopped')")
    page.wait_for_selector("#documents >> text=letters.pdf")
    page.wait_for_selector(".welcome h1")
    assert page.locator(".answer").count() == 0
    assert page.input_value("#question") == "What is read slowly?"


def test_libraries_are_asked_for_again_once_they_have_changed(context: Any, scripted: Server) -> None:
    one, two = context.new_page(), context.new_page()
    opened(one, scripted, "#/library/default")
    opened(two, scripted, "#/library/default")
    listings = []
    one.on("request", lambda request: request.url.endswith("/api/libraries") and listings.append(request))
    one.click("#documents .document-name")
    one.wait_for_selector("#source .document-text")
    one.keyboard.press("Escape")
    one.wait_for_selector("#source", state="hidden")
    assert not listings
    two.click("#library-new")
    two.fill("#dialog-input", "made-beside")
    two.press("#dialog-input", "Enter")
    two.wait_for_selector(".dropzone")
    one.click("#documents .document-name")
    one.wait_for_selector("#library option[value=made-beside]", state="attached")
    two.click("#library-remove")
    two.click("#dialog-ok")
    two.wait_for_selector("#library option[value=made-beside]", state="detached")
