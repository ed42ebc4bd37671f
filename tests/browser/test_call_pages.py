"""The pages of calls as people see and use them."""

import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.animated_ladder import animated
from tests.browser.conftest import SINKS
from tests.browser.visitor import Scheme, Visitor
from tests.console.ladder.traces import failing, gone, healthy, played
from tests.console.traced import keep
from webrtc_events.console.ladder.building import ladder_of
from webrtc_events.console.ladder.standalone import standalone_svg
from webrtc_events.store.store import Store

Visit = Callable[..., Visitor]
WIDTHS = [360, 768, 1280, 1920, 2560]

# Texts of one SVG element that lie on each other, by their boxes.
OVERLAPS = """() => {
  const found = [];
  for (const picture of document.querySelectorAll("svg.ladder")) {
    const texts = [...picture.querySelectorAll("text")];
    const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
    for (const [index, [text, box]] of boxes.entries()) {
      for (const [other, there] of boxes.slice(index + 1)) {
        const beside = box.right <= there.left + 1 || there.right <= box.left + 1;
        const apart = box.bottom <= there.top + 3 || there.bottom <= box.top + 3;
        if (!beside && !apart) found.push(`${text} / ${other}`);
      }
    }
  }
  return found;
}"""
# Texts that reach out of the head of their lane.
OUTSIDE = """() => [...document.querySelectorAll(".l-lane")].flatMap((lane) => {
  const box = lane.querySelector("rect").getBoundingClientRect();
  return [...lane.querySelectorAll("text")].filter((text) => {
    const inside = text.getBoundingClientRect();
    return inside.left < box.left || inside.right > box.right || inside.bottom > box.bottom;
  }).map((text) => text.textContent);
})"""


def rows(page: Page) -> Locator:
    return page.locator(".ladder-body a[data-key]")


def visible_rows(page: Page) -> Locator:
    return page.locator(".ladder-body a[data-key]:not(.is-later)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    store: Store, visit: Visit, console_url: str, call_url: str, scheme: Scheme, screenshots: Path
) -> None:
    keep(store, played("hold-resume", [healthy, failing]))
    keep(store, played("declined", [healthy, healthy]))
    calls = visit(f"{console_url}/calls/", scheme=scheme)
    assert calls.faults() == []
    calls.picture(screenshots / f"calls-{scheme}.png")
    call = visit(call_url, scheme=scheme, width=1600, height=1000)
    expect(call.page.locator(".replay")).to_be_visible()
    assert call.faults() == []
    call.picture(screenshots / f"call-{scheme}.png")
    rows(call.page).nth(3).click()
    call.page.locator(".as-table > summary").click()
    expect(call.page.locator(".panel")).to_contain_text("SDP offer")
    assert call.faults() == []
    call.picture(screenshots / f"call-entry-{scheme}.png")
    entry = rows(call.page).nth(3).get_attribute("href")
    assert visit(f"{console_url}{entry}", scheme=scheme).faults() == []
    assert visit(f"{console_url}/calls/unknown", scheme=scheme).faults() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_tells_a_whole_story(
    store: Store, visit: Visit, console_url: str, scheme: Scheme, screenshots: Path
) -> None:
    """The one that the documents show."""
    session = keep(store, played("no-answer", [healthy, failing, gone]))
    call = visit(f"{console_url}/calls/{session}", scheme=scheme, width=1400, height=1600)
    for text in (
        "session-invitation",
        "503 · 11 ms",
        "again in 1.0 s",
        "ends, network terminated",
        "Terminated",
    ):
        expect(call.page.locator(".ladder-body").get_by_text(text).first).to_be_in_viewport()
    call.picture(screenshots / f"call-ladder-{scheme}.png")


def test_a_picture_for_documents_builds_itself_up(visit: Visit, screenshots: Path) -> None:
    trace = played("no-answer", [healthy, failing, gone])
    picture = animated(standalone_svg(ladder_of(trace), trace[0]["session"]))
    (screenshots / "call-ladder-replay.svg").write_text(picture)
    visitor = visit("about:blank")
    visitor.page.emulate_media(reduced_motion="no-preference")
    visitor.page.set_content(picture.partition("?>")[2])
    steps = len({entry["at"] for entry in trace})
    assert visitor.run("document.getAnimations().length") > steps
    expect(visitor.page.locator(".l-row").last).to_have_css("opacity", "0")
    expect(visitor.page.locator(".l-row").last).to_have_css("opacity", "1", timeout=30_000)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_has_room(
    visit: Visit, call_url: str, console_url: str, width: int, screenshots: Path
) -> None:
    call = visit(call_url, width=width)
    expect(call.page.locator(".replay")).to_be_visible()
    assert call.overflow() <= 0
    assert call.run(OVERLAPS) == []
    assert call.run(OUTSIDE) == []
    call.picture(screenshots / f"call-{width}.png")
    rows(call.page).first.click()
    expect(call.page.locator(".panel")).to_be_visible()
    assert call.overflow() <= 0
    assert visit(f"{console_url}/calls/", width=width).overflow() <= 0


def test_fifty_lanes_scroll(store: Store, visit: Visit, console_url: str) -> None:
    session = keep(store, played("declined", [healthy] * 51))
    call = visit(f"{console_url}/calls/{session}")
    assert call.overflow() <= 0
    assert call.run(OVERLAPS) == []
    assert call.run("document.querySelector('.ladder-scroll').scrollWidth") > 12_000
    # The times stay in sight.
    call.run("document.querySelector('.ladder-scroll').scrollLeft = 6000")
    expect(call.page.get_by_text("11:42:37.089").first).to_be_in_viewport()


def test_without_script_the_whole_call_is_there(visit: Visit, call_url: str) -> None:
    page = visit(call_url, script=False).page
    assert rows(page).count() > 40
    expect(page.locator(".replay")).to_be_hidden()
    rows(page).nth(1).click()
    expect(page.locator("main")).to_contain_text("SDP offer")
    expect(page.locator("main")).to_contain_text("originatorName")


def test_an_entry_opens_beside_the_ladder_by_mouse_and_keyboard(visit: Visit, call_url: str) -> None:
    page = visit(call_url).page
    panel = page.locator(".panel")
    rows(page).nth(1).click()
    expect(panel).to_contain_text("session-invitation #1")
    expect(rows(page).nth(1)).to_have_attribute("aria-current", "true")
    # The ladder stays usable.
    rows(page).nth(2).click()
    expect(panel).to_contain_text("InProgress #2")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(rows(page).nth(2)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(3)).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("Request took")
    expect(panel.locator(".panel-title")).to_be_focused()
    panel.get_by_role("button", name="Close").click()
    expect(rows(page).nth(3)).to_be_focused()


def test_the_ladder_is_one_stop_of_the_tab_key(visit: Visit, call_url: str) -> None:
    page = visit(call_url).page
    expect(page.locator(".replay")).to_be_visible()
    assert page.locator('.ladder-body a[data-key][tabindex="0"]').count() == 1


def test_replay_steps_plays_and_ends(visit: Visit, call_url: str) -> None:
    page = visit(call_url).page
    everything = rows(page).count()
    slider = page.get_by_role("slider", name="Moment of the call")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(visible_rows(page)).to_have_count(everything - 1)
    slider.fill("0")
    expect(visible_rows(page)).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(visible_rows(page)).to_have_count(2)
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^09:14:02\.359, 2 of \d+$"))
    page.get_by_role("button", name="One row back").click()
    expect(visible_rows(page)).to_have_count(1)
    page.get_by_label("Speed").select_option("60")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    # What is played is kept in sight.
    expect(visible_rows(page)).to_have_count(everything, timeout=60_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert page.evaluate("document.querySelector('.ladder-scroll').scrollTop") > 1_000


def test_replay_can_be_paused(visit: Visit, call_url: str) -> None:
    page = visit(call_url).page
    page.get_by_role("slider", name="Moment of the call").fill("0")
    page.get_by_role("button", name="Play").click()
    expect(visible_rows(page).nth(2)).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    paused = visible_rows(page).count()
    assert 3 <= paused < rows(page).count()
    page.get_by_role("button", name="One row on").click()
    expect(visible_rows(page).nth(paused)).to_be_visible()


def test_personal_data_is_revealed_and_hidden_again(visit: Visit, call_url: str) -> None:
    page = visit(call_url).page
    panel = page.locator(".panel")
    rows(page).first.click()
    expect(panel).to_contain_text("masked: audio, video")
    expect(panel).not_to_contain_text("Alice Meyer")
    panel.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Reveal personal data").click()
    expect(page.get_by_role("button", name="Hide")).to_be_visible()
    # The page's script is there: a click opens the panel, not the entry's page.
    expect(page.locator(".replay")).to_be_visible()
    rows(page).first.click()
    expect(panel).to_contain_text("Alice Meyer")
    expect(panel).to_contain_text("m=audio")
    panel.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Hide").click()
    expect(page.get_by_role("button", name="Reveal personal data")).to_be_visible()
    expect(page.locator(".replay")).to_be_visible()
    rows(page).first.click()
    expect(panel).not_to_contain_text("Alice Meyer")


# How many pixels of a picture have a colour of those that a delivered notification has.
GREEN = """async (picture) => {
  const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  let green = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] === 0x1b && data[at + 1] === 0x77 && data[at + 2] === 0x42) green += 1;
  }
  return [image.width, image.height, green];
}"""


def test_the_ladder_is_saved_as_png_and_svg(
    visit: Visit, call_url: str, session: str, tmp_path: Path
) -> None:
    visitor = visit(call_url)
    page = visitor.page
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename == f"call-{session}.png"
    picture = tmp_path / "call.png"
    download.value.save_as(picture)
    width, height, green = visitor.run(GREEN, b64encode(picture.read_bytes()).decode())
    assert (width > 2_000, height > 3_000, green > 1_000) == (True, True, True)
    with page.expect_download() as download:
        page.get_by_role("link", name="SVG").click()
    assert download.value.suggested_filename == f"call-{session}.svg"


def test_news_leave_the_reader_in_place(store: Store, visit: Visit, console_url: str) -> None:
    trace = played("answered", SINKS)
    session = keep(store, trace[:25])
    page = visit(f"{console_url}/calls/{session}", height=700).page
    before = rows(page).count()
    rows(page).nth(5).click()
    expect(page.locator(".panel")).to_be_visible()
    page.evaluate("document.querySelector('.ladder-scroll').scrollTop = 120")
    text = page.locator(".panel").inner_text()
    keep(store, trace[25:])
    expect(rows(page).nth(before + 10)).to_be_attached()
    assert page.evaluate("document.querySelector('.ladder-scroll').scrollTop") == 120
    assert page.locator(".panel").inner_text() == text
    expect(rows(page).nth(5)).to_have_attribute("aria-current", "true")


def test_who_looks_at_the_end_sees_what_comes(store: Store, visit: Visit, console_url: str) -> None:
    trace = played("answered", SINKS)
    session = keep(store, trace[:25])
    page = visit(f"{console_url}/calls/{session}", height=700).page
    expect(page.locator(".replay")).to_be_visible()
    page.evaluate("document.querySelector('.ladder-scroll').scrollTop = 1e6")
    keep(store, trace[25:])
    expect(rows(page).filter(has_text="Terminated").last).to_be_in_viewport()


def test_what_comes_during_a_replay_does_not_disturb_it(store: Store, visit: Visit, console_url: str) -> None:
    trace = played("answered", SINKS)
    session = keep(store, trace[:25])
    page = visit(f"{console_url}/calls/{session}").page
    before = rows(page).count()
    page.get_by_role("slider", name="Moment of the call").fill("0")
    expect(visible_rows(page)).to_have_count(1)
    keep(store, trace[25:])
    expect(rows(page).nth(before + 10)).to_be_attached()
    expect(visible_rows(page)).to_have_count(1)


def test_a_console_that_is_away_is_asked_again(visit: Visit, call_url: str) -> None:
    visitor = visit(call_url)
    page = visitor.page
    live = page.locator(".live")
    expect(live).to_have_text("Live")
    page.route("**/news?*", lambda route: route.abort())
    expect(live).to_contain_text("does not answer")
    page.unroute("**/news?*")
    expect(live).to_have_text("Live")
    # The browser says that requests failed, and nothing else.
    assert {complaint for complaint in visitor.complaints if "ERR_FAILED" not in complaint} == set()
    visitor.complaints.clear()
