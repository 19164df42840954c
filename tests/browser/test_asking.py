"""A question and its answer: what streams in, what is kept, what can be done with it."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Server
from tests.browser.scripted_server import HOSTILE, THINKING
from tests.browser.steps import YEARS, answer_id, ask, begin, opened, texts

pytestmark = pytest.mark.browser


def test_an_answer_shows_how_it_came_about_and_what_a_reflection_changed(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)

    assert page.inner_text(".question") == YEARS
    assert page.inner_text(".output").startswith("Mr Rooke had been a surveyor for twenty-six years")
    fold = page.locator("details.process")
    assert fold.get_attribute("open") is None
    fold.locator("summary").click()
    assert THINKING.strip() in fold.inner_text()
    reflection = page.locator(".reflection")
    assert "19" in reflection.inner_text()
    assert texts(page, ".reflection del") == ["19"]
    assert texts(page, ".reflection ins") == ["twenty-six"]
    assert "scripted" in page.inner_text(".cost")


def test_citations_lead_to_the_passages_that_are_lit_in_the_strip(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)

    numbers = {text.strip(" []") for text in texts(page, ".cite")}
    assert numbers
    assert numbers == set(texts(page, ".tick.cited .number"))
    places = page.eval_on_selector_all(".tick", "ticks => ticks.map(tick => tick.getBoundingClientRect().left)")
    assert places == sorted(places)
    assert "twenty-six years" in " ".join(texts(page, ".citation q"))
    assert texts(page, ".citations h3") == ["What it rests on"]


def test_thinking_is_open_while_it_comes_and_folded_once_the_answer_stands(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    begin(page, "What wage did Mr Rooke pay slowly?")

    page.wait_for_selector("details.process[open] .stretch.thinking")
    assert texts(page, ".process-body h4") == ["Plan", "Thinking"]
    page.wait_for_selector(".stage:has-text('Thinking')")
    assert page.get_attribute(".answer", "aria-busy") == "true"
    page.wait_for_selector(".clock:has-text('1 s')", state="attached")
    page.wait_for_selector(".actions")
    assert page.get_attribute("details.process", "open") is None
    assert page.get_attribute(".answer", "aria-busy") is None


def test_a_follow_up_stands_below_and_is_told_what_it_follows(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    first = answer_id(page)
    assert YEARS[:30] in page.inner_text("#follow")
    ask(page, "And what wage did he pay?")

    kept = httpx.get(f"{scripted.url}/api/answers/{answer_id(page)}").json()
    assert kept["after"] == first
    assert texts(page, ".question") == [YEARS, "And what wage did he pay?"]
    page.click("#follow button")
    page.wait_for_selector(".welcome h1")
    assert page.is_hidden("#follow")


def test_what_a_model_writes_is_never_markup(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page, "hostile: how many years had Mr Rooke been a surveyor?")

    assert "<img src=x" in page.inner_text(".output")
    assert page.locator(".answer img, .answer b").count() == 0
    assert page.title() != "1"
    assert HOSTILE.count("<") == page.inner_text(".output").count("<")


def test_an_answer_is_copied_linked_and_exported(page: Any, scripted: Server, tmp_path: Path) -> None:
    opened(page, scripted)
    ask(page)

    page.click("text=Copy as Markdown")
    page.wait_for_selector("#toast:has-text('Copied')")
    markdown = page.evaluate("navigator.clipboard.readText()")
    assert YEARS.rstrip("?") in markdown
    assert "> " in markdown
    page.click("text=Copy link")
    page.wait_for_selector("#toast:has-text('link')")
    assert page.evaluate("navigator.clipboard.readText()") == f"{scripted.url}/#/answer/{answer_id(page)}"
    with page.expect_download() as download:
        page.click("text=Export JSON")
    assert download.value.suggested_filename == "How-many-years-had-Mr-Rooke-been-a-surveyor.json"
    download.value.save_as(tmp_path / "answer.json")
    assert json.loads((tmp_path / "answer.json").read_text())["question"] == YEARS


def test_selected_text_of_an_answer_keeps_its_citations_apart(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.output'))")
    assert re.search(r"twenty-six years \[\d+\]\.", page.evaluate("String(getSelection())"))


def test_a_removed_answer_is_gone_from_the_list(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page, "What is the wage that goes?")
    page.click(".actions >> text=Remove")
    page.click("#dialog-ok")

    page.wait_for_selector(".welcome h1")
    page.wait_for_selector("#answers >> text=the wage that goes", state="detached")


def test_stopping_ends_the_generation_and_gives_the_question_back(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    begin(page, "What is read slowly?")
    page.wait_for_selector(".stretch.plan")
    page.click("#stop")

    page.wait_for_selector(".failed[role=status]:has-text('Stopped')")
    assert page.input_value("#question") == "What is read slowly?"
    time.sleep(1.5)
    assert httpx.get(f"{scripted.url}/api/health").json()["queue"] == {"running": 0, "waiting": 0}


def test_a_question_that_is_left_for_another_answer_stands_in_the_box_again(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    begin(page, "What is read slowly?")
    page.wait_for_selector("[aria-busy] .stretch.plan")
    page.click("#question-new")

    page.wait_for_selector("#toast:has-text('was stopped')")
    assert page.input_value("#question") == "What is read slowly?"


def test_an_answer_below_the_fold_comes_into_view(page: Any, scripted: Server) -> None:
    page.set_viewport_size({"width": 800, "height": 420})
    opened(page, scripted)
    ask(page)
    box = page.locator(".output").bounding_box()
    assert 0 <= box["y"] < 420


def test_the_place_in_the_queue_is_shown(context: Any, scripted: Server) -> None:
    first, second = context.new_page(), context.new_page()
    opened(first, scripted)
    opened(second, scripted)
    begin(first, "What wage did Mr Rooke pay slowly?")
    first.wait_for_selector(".stretch.plan")
    begin(second, "What wage did he pay?")

    second.wait_for_selector(".stage:has-text('Waiting: 1 question before this one')")
    first.click("#stop")
    second.wait_for_selector(".actions")


def test_only_ticked_documents_are_asked(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "gauges"}).raise_for_status()
    scripted.add("gauge.txt", b"The gauge at the sluice was read at seven every morning by the boy.", library="gauges")
    scripted.add("other.txt", b"The gauge of the railway was another matter.", library="gauges")
    opened(page, scripted, "#/library/gauges")
    page.check("input[aria-label='Ask gauge.txt']")
    ask(page, "When was the gauge read?")

    assert texts(page, ".strip-name .name") == ["gauge.txt"]
    page.click("#documents >> text=gauge.txt")
    page.wait_for_selector("#source .document-text:has-text('sluice')")


def test_no_question_is_sent_to_an_empty_library(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "empty"})
    page.goto(f"{scripted.url}/#/library/empty")
    page.wait_for_selector(".dropzone")
    begin(page, "Is anything here?")
    page.wait_for_selector("#toast:has-text('Add a document first')")


def test_what_does_not_bear_an_answer_out_is_not_what_it_rests_on(page: Any, scripted: Server) -> None:
    def doubted(route: Any) -> None:
        kept = route.fetch().json()
        citation = kept["citations"][0] | {"supported": False, "quote": "“Huzza!” cried the seamen"}
        route.fulfill(json=kept | {"citations": [*kept["citations"], citation]})

    opened(page, scripted)
    ask(page)
    page.route("**/api/answers/*", doubted)
    page.reload()
    page.wait_for_selector(".citation")
    assert texts(page, ".citations h3") == ["What it rests on", "Where it was looked for"]
    quotes = "quotes => quotes.map(quote => getComputedStyle(quote, '::before').content)"
    assert page.eval_on_selector_all(".citation q", quotes)[0] == "open-quote"
    assert page.eval_on_selector(".citation q.marked", "quote => getComputedStyle(quote).quotes") == "none"


def test_answers_that_other_programs_asked_for_say_so(page: Any, scripted: Server) -> None:
    httpx.post(f"{scripted.url}/api/libraries", json={"name": "programs"}).raise_for_status()
    scripted.add("letter.txt", b"In twenty-six years as a surveyor Mr Rooke had found no lake.", library="programs")
    messages = [{"role": "user", "content": YEARS}]
    asked = httpx.post(
        f"{scripted.url}/v1/chat/completions", json={"model": "seriatim/programs", "messages": messages}, timeout=60
    )
    asked.raise_for_status()
    opened(page, scripted, "#/library/programs")
    page.wait_for_selector("#answers .hint:has-text('by OpenAI’s API')")
    ask(page)
    page.wait_for_selector("#answers li >> nth=1")
    assert ["by OpenAI" in text for text in texts(page, "#answers .hint")] == [False, True]


def test_the_number_of_a_passage_stands_beside_its_first_line(page: Any, scripted: Server) -> None:
    opened(page, scripted)
    ask(page)
    page.click(".reading summary")
    tops = """items => items.map(item => {
      const text = document.createRange();
      text.selectNodeContents(item.querySelector(".passage"));
      return text.getClientRects()[0].top - item.getBoundingClientRect().top;
    })"""
    assert all(top < 6 for top in page.eval_on_selector_all(".reading li", tops))


def test_models_that_are_not_here_are_folded_away(page: Any, scripted: Server) -> None:
    def listed(name: str, *, present: bool) -> dict[str, Any]:
        return {"name": name, "summary": "", "bytes": 98_000_000, "present": present, "default": name == "small"}

    models = [listed("small", present=True), listed("large", present=False), listed("larger", present=False)]
    page.route("**/api/models", lambda route: route.fulfill(json=models))
    opened(page, scripted)
    page.click("#model-summary")
    assert page.is_visible("#models >> text=small")
    assert page.is_hidden("#models input[value=large]")
    page.click("text=2 more models to fetch first")
    assert page.is_disabled("#models input[value=larger]")
    assert page.is_visible("#models >> text=seriatim model pull large")
