"""Libraries and documents: dropping files in, what goes wrong with them, and removing them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Server
from tests.browser.steps import texts
from tests.documents.making import pdf_of_an_image
from tests.server.test_jobs import endless

pytestmark = pytest.mark.browser

TEXT = b"Mr Rooke had been a surveyor for twenty-six years."
LETTER = {"name": "letter.txt", "mimeType": "text/plain", "buffer": TEXT}


@pytest.fixture
def fresh(scripted: Server, page: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page at an empty library of the test's own."""
    name = request.node.name.replace("_", "-")[:60]
    httpx.post(f"{scripted.url}/api/libraries", json={"name": name}).raise_for_status()
    page.goto(f"{scripted.url}/#/library/{name}")
    page.wait_for_selector(".dropzone")
    yield page
    httpx.delete(f"{scripted.url}/api/libraries/{name}")


def drag(page: Any, path: Path, *kinds: str) -> None:
    """What the browser does when somebody drags a file or a folder of their desktop over the page."""
    carry(page, {"items": [], "files": [str(path)]}, 600, 400, *kinds)


def carry(page: Any, carried: dict[str, Any], x: float, y: float, *kinds: str) -> None:
    pointer = page.context.new_cdp_session(page)
    for kind in kinds:
        data = {**carried, "dragOperationsMask": 1}
        pointer.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})


def test_files_are_chosen_and_read_in_the_background(fresh: Any) -> None:
    with fresh.expect_file_chooser() as chooser:
        fresh.click(".dropzone")
    chooser.value.set_files([LETTER, LETTER | {"name": "second.txt", "buffer": b"Another paper."}])

    fresh.wait_for_selector("#documents >> text=letter.txt")
    fresh.wait_for_selector("#documents >> text=second.txt")
    fresh.wait_for_selector(".upload", state="detached")
    assert fresh.inner_text(".welcome h1") == "What would you like to know?"


def test_many_files_come_in_turn_and_one_that_waits_can_be_cancelled(fresh: Any) -> None:
    files = [LETTER | {"name": f"{number:02}.txt", "buffer": b"Paper %d." % number} for number in range(12)]
    fresh.route("**/documents", lambda route: (fresh.wait_for_timeout(150), route.continue_()))
    fresh.set_input_files("#files", files)
    fresh.get_by_role("button", name="Cancel 11.txt").click()

    fresh.wait_for_selector("#documents >> text=10.txt")
    fresh.wait_for_selector(".upload", state="detached")
    assert texts(fresh, ".document .name") == [f"{number:02}.txt" for number in range(11)]


def test_an_upload_outlives_a_reload_and_can_still_be_cancelled(fresh: Any) -> None:
    fresh.set_input_files("#files", {"name": "long.pdf", "mimeType": "application/pdf", "buffer": endless()})
    fresh.wait_for_selector(".upload:has-text('Reading')")
    fresh.reload()
    fresh.wait_for_selector(".upload:has-text('long.pdf'):has-text('Reading')")
    fresh.wait_for_selector(".welcome h1:has-text('Your documents are being read')")
    fresh.get_by_role("button", name="Cancel long.pdf").click()
    fresh.wait_for_selector(".upload", state="detached")
    fresh.wait_for_selector(".dropzone")


def test_files_are_dropped_anywhere(fresh: Any) -> None:
    drop = """() => {
        const carried = new DataTransfer();
        carried.items.add(new File(["A dropped paper."], "dropped.txt", { type: "text/plain" }));
        const at = document.querySelector("#main");
        const how = { dataTransfer: carried, bubbles: true, cancelable: true };
        const fire = (kind) => at.dispatchEvent(new DragEvent(kind, how));
        fire("dragenter");
        const shown = document.querySelector("#drop").textContent;
        fire("drop");
        return shown;
    }"""
    assert "test-files-are-dropped" in fresh.evaluate(drop)
    fresh.wait_for_selector("#documents >> text=dropped.txt")
    assert fresh.is_hidden("#drop")


def test_a_dropped_folder_gives_the_documents_in_it(fresh: Any, tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    (folder / "below").mkdir(parents=True)
    (folder / "one.txt").write_bytes(TEXT)
    (folder / "below" / "two.MD").write_bytes(b"Another paper.")
    (folder / "below" / ".hidden.txt").write_bytes(b"Not meant.")
    (folder / "picture.png").write_bytes(b"no text")
    drag(fresh, folder, "dragEnter", "dragOver", "drop")
    fresh.wait_for_selector("#documents >> text=two.MD")
    fresh.wait_for_selector(".upload", state="detached")
    assert texts(fresh, ".document .name") == ["one.txt", "two.MD"]


def test_words_are_dropped_into_the_question(fresh: Any) -> None:
    box = fresh.locator("#question").bounding_box()
    words = {"items": [{"mimeType": "text/plain", "data": "the keeper of the lighthouse"}], "files": []}
    carry(fresh, words, box["x"] + 20, box["y"] + 10, "dragEnter", "dragOver", "drop")
    fresh.wait_for_selector("#question:not(:placeholder-shown)")
    assert fresh.input_value("#question") == "the keeper of the lighthouse"
    assert fresh.is_hidden("#drop")


def test_a_line_that_goes_gives_the_focus_to_the_button_that_adds_files(fresh: Any) -> None:
    fresh.set_input_files("#files", LETTER | {"name": "scan.pdf", "buffer": pdf_of_an_image()})
    fresh.wait_for_selector(".upload.failed")
    fresh.get_by_role("button", name="Dismiss scan.pdf").focus()
    fresh.keyboard.press("Enter")
    fresh.wait_for_selector("#files-choose:focus")


def test_a_file_that_is_gone_is_not_taken_for_a_server_that_is_away(fresh: Any, tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_bytes(TEXT)
    drag(fresh, tmp_path / "gone.txt", "dragEnter", "dragOver")
    (tmp_path / "gone.txt").unlink()
    drag(fresh, tmp_path / "gone.txt", "drop")
    fresh.wait_for_selector(".upload.failed [role=alert] >> text=cannot be read: it is gone")


def test_a_file_that_cannot_be_read_says_what_to_do_and_takes_no_other_with_it(fresh: Any) -> None:
    scan = {"name": "scan.pdf", "mimeType": "application/pdf", "buffer": pdf_of_an_image()}
    fresh.set_input_files("#files", [scan, LETTER])

    fresh.wait_for_selector(".upload.failed [role=alert] >> text=OCR")
    fresh.wait_for_selector("#documents >> text=letter.txt")
    fresh.get_by_role("button", name="Dismiss scan.pdf").click()
    assert fresh.locator(".upload").count() == 0


def test_a_document_is_opened_and_removed(fresh: Any) -> None:
    fresh.set_input_files("#files", LETTER)
    fresh.click("#documents >> text=letter.txt")
    fresh.wait_for_selector("#source .document-text:has-text('twenty-six')")
    fresh.keyboard.press("Escape")
    fresh.wait_for_selector("#source", state="hidden")
    fresh.get_by_role("button", name="Remove letter.txt").click()
    fresh.click("#dialog-cancel")
    assert fresh.locator(".document").count() == 1
    fresh.get_by_role("button", name="Remove letter.txt").click()
    fresh.click("#dialog-ok")
    fresh.wait_for_selector(".dropzone")


def test_a_documents_text_is_never_markup(fresh: Any) -> None:
    hostile = b"<img src=x onerror='document.title=1'> <script>document.title = 2</script> Mr Rooke, surveyor."
    fresh.set_input_files("#files", LETTER | {"name": "<b>hostile<b>.txt", "buffer": hostile})
    fresh.click("#documents button.document-name")
    fresh.wait_for_selector("#source .document-text:has-text('<script>')")
    assert fresh.locator("#source img, #source script, #documents b").count() == 0
    assert fresh.title() == "Seriatim"


def test_a_library_is_made_chosen_and_removed(page: Any, scripted: Server) -> None:
    page.goto(scripted.url)
    page.wait_for_selector(".document")
    page.click("#library-new")
    page.fill("#dialog-input", "No Such Name!")
    page.press("#dialog-input", "Enter")
    page.wait_for_selector("#dialog-error >> text=small letters")
    page.fill("#dialog-input", "default")
    page.press("#dialog-input", "Enter")
    page.wait_for_selector("#dialog-error >> text=already")
    page.fill("#dialog-input", "made-here")
    page.press("#dialog-input", "Enter")

    page.wait_for_selector(".dropzone")
    assert page.input_value("#library") == "made-here"
    assert page.url.endswith("#/library/made-here")
    page.set_input_files("#files", LETTER)
    page.wait_for_selector("#documents >> text=letter.txt")
    page.click("#library-remove")
    page.wait_for_selector("#dialog >> text=holds 1 document.")
    page.click("#dialog-ok")
    page.wait_for_selector("#library-remove[disabled]")  # the default one stays
    page.wait_for_selector("#library:focus")
    page.wait_for_selector(".document")
    assert "made-here" not in texts(page, "#library option")
