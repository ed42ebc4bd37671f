"""A call that somebody exported, on the page that shows it from a file."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.test_call_pages import rows
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


def drawn(page: Page) -> str:
    """The picture, without what a file has not: addresses, and marks of the page's script."""
    markup = page.locator(".ladder-body").evaluate("element => element.innerHTML")
    return re.sub(r' (href|data-key|tabindex|aria-current)="[^"]*"', "", markup)


@pytest.mark.parametrize("revealed", [False, True])
def test_an_exported_call_is_imported_as_the_same_ladder(
    visit: Visit, call_url: str, tmp_path: Path, *, revealed: bool
) -> None:
    visitor = visit(call_url)
    page = visitor.page
    if revealed:
        page.get_by_role("button", name="Reveal personal data").click()
        expect(page.get_by_role("button", name="Hide")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert ("Alice Meyer" in file.read_text()) is revealed
    assert json.loads(file.read_text())["format"] == "webrtc-events call trace"
    exported = drawn(page)
    page.goto(call_url.rpartition("/")[0] + "/")
    page.get_by_label("File").set_input_files(file)
    if revealed:
        page.get_by_label("Show personal data").check()
    page.locator(".import button").click()
    expect(page.locator(".imported")).to_contain_text("Imported, not stored")
    assert drawn(page) == exported
    expect(page.locator(".replay")).to_be_visible()
    rows(page).nth(1).click()
    expect(page.locator(".panel")).to_contain_text("Alice Meyer" if revealed else "masked: audio, video")
    assert visitor.faults() == []


def held(page: Page, files: str) -> list[Route]:
    """What the browser asks for, and does not get before somebody lets it go on."""
    found: list[Route] = []
    page.route(files, lambda route: found.append(route))
    return found


def test_who_clicks_before_the_script_is_there_sees_the_entry(
    visit: Visit, call_url: str, tmp_path: Path
) -> None:
    visitor = visit(call_url)
    page = visitor.page
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    file = tmp_path / "call.json"
    download.value.save_as(file)
    # As somebody new, who has none of these files yet.
    page = visit(call_url.rpartition("/")[0] + "/").page
    page.get_by_label("File").set_input_files(file)
    look, script = held(page, "**/look.css"), held(page, "**/panel.js")
    # What it leads to is not waited for: the page needs what is held.
    page.locator(".import form").evaluate("form => form.requestSubmit()")
    expect(page.locator(".imported")).to_contain_text("Imported, not stored")
    # Not all style sheets are there, and already what waits for the script does not show.
    # Not once a frame, as it would by default: a page draws none while a style sheet is held back.
    page.wait_for_function(
        "[...document.styleSheets].some((sheet) => sheet.href.endsWith('calls.css'))", polling=100
    )
    assert len(look) == 1
    expect(page.locator(".replay")).to_be_hidden()
    look[0].continue_()
    row = rows(page).nth(1)
    row.click()
    expect(page.locator(".panel")).to_be_hidden()
    for route in script:
        route.continue_()
    expect(page.locator(".panel")).to_contain_text("session-invitation #1")
    expect(row).to_have_attribute("aria-current", "true")
    expect(row).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(row).to_be_focused()


def test_an_imported_call_is_saved_as_a_picture_too(visit: Visit, call_url: str, tmp_path: Path) -> None:
    page = visit(call_url).page
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    file = tmp_path / "call.json"
    download.value.save_as(file)
    page.goto(call_url.rpartition("/")[0] + "/")
    page.get_by_label("File").set_input_files(file)
    page.locator(".import button").click()
    for name in ("PNG", "SVG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert download.value.suggested_filename.endswith(name.lower())
