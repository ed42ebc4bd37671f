"""What people come to the console for, from the first click to the last, through a whole service."""

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.simulation_forms import play, subscribe
from tests.browser.visitor import Visitor
from webrtc_events.local.endpoints import Endpoints

Visit = Callable[..., Visitor]


def misbehave(page: Page, service: Endpoints, path: str, answer: str, count: str) -> None:
    """The local sink answers so at `path`, for the next `count` requests."""
    page.goto(f"{service.sink}/")
    page.locator("#behaviours > summary").click()
    form = page.get_by_role("form", name="Set a behaviour")
    form.get_by_label("Path").fill(f"/{path}")
    form.get_by_label("Answer").select_option("other")
    form.get_by_role("spinbutton", name="Status").fill(answer)
    form.get_by_label("For the next").fill(count)
    form.get_by_role("button", name="Set").click()
    expect(page.get_by_role("list", name="What is set")).to_contain_text(f"/{path}")


def delivered(page: Page) -> Locator:
    return page.locator(".ladder-body .l-delivered")


def test_a_call_is_subscribed_to_simulated_and_watched_live_to_its_end(
    service: Endpoints, visit: Visit, screenshots: Path
) -> None:
    visitor = visit(service.console)
    page = visitor.page
    subscribe(page, service, "crm", "r-live")
    subscribe(page, service, "billing", "r-live", "s-live")
    watched = visit(f"{service.console}calls/s-live").page
    expect(watched.get_by_text("this page shows it as it happens")).to_be_visible()
    play(page, service, "r-live", "s-live", ringing_s="1", talk_s="2", hold="on")
    visitor.picture(screenshots / "simulate.png")
    expect(delivered(watched).filter(has_text="session-invitation#1")).to_be_attached()
    expect(delivered(watched).filter(has_text="Ringing#3")).to_be_attached()
    expect(delivered(watched).filter(has_text="Terminated")).to_be_attached()
    expect(watched.locator("[data-part=facts]")).to_contain_text("Terminated")
    expect(delivered(watched)).to_have_count(7)
    expect(page.locator("#runs .run").first).to_contain_text("finished")
    expect(page.locator("#runs .run").first).to_contain_text("accepted 7 of 7")


def test_a_sink_that_fails_gets_the_same_again_and_the_ladder_shows_both(
    service: Endpoints, visit: Visit
) -> None:
    page = visit(service.console).page
    subscribe(page, service, "fails", "r-fails")
    misbehave(page, service, "fails", "500", "1")
    play(page, service, "r-fails", "s-fails", speed="max")
    page.goto(f"{service.console}calls/s-fails")
    expect(page.locator(".ladder-body .l-retry")).to_contain_text("500")
    expect(page.locator(".ladder-body .l-retry")).to_contain_text("again in")
    expect(delivered(page)).to_contain_text("204")
    expect(delivered(page)).to_contain_text("try 2")
    page.goto(f"{service.sink}/")
    answers = page.locator("#rows details").filter(has_text="/fails").locator(".answered")
    expect(answers).to_have_text(["204", "500"])


def test_a_dead_letter_is_shown_and_redelivered(service: Endpoints, visit: Visit) -> None:
    visitor = visit(service.console)
    page = visitor.page
    subscription = subscribe(page, service, "refuses", "r-refuses")
    misbehave(page, service, "refuses", "400", "1")
    play(page, service, "r-refuses", "s-refuses", speed="max")
    page.goto(f"{service.console}calls/s-refuses")
    expect(page.locator(".ladder-body").get_by_text("400").first).to_be_attached()
    page.goto(f"{service.console}subscriptions/{subscription}")
    letter = page.locator("article.letter")
    expect(letter).to_contain_text("session-invitation")
    assert visitor.faults() == []
    letter.get_by_role("link", name="Redeliver…").click()
    assert visitor.faults() == []
    page.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_role("status").first).to_be_visible()
    expect(page.locator("article.letter")).to_have_count(0)
    page.goto(f"{service.sink}/")
    answers = page.locator("#rows details").filter(has_text="/refuses").locator(".answered")
    expect(answers).to_have_text(["204", "400"])


def test_the_overview_shows_a_sink_that_cannot_be_reached(service: Endpoints, visit: Visit) -> None:
    page = visit(service.console).page
    with socket.socket() as closed:
        # Bound and not listening: connections are refused.
        closed.bind(("127.0.0.1", 0))
        host = f"https://localhost:{closed.getsockname()[1]}"
        subscribe(page, service, "away", "r-away", sink=host)
        play(page, service, "r-away", calls="5", rate="100", speed="max")
        page.goto(service.console)
        row = page.get_by_role("row").filter(has_text=host)
        expect(row).to_contain_text("open circuit")
        expect(page.locator("#verdict")).to_contain_text(host.removeprefix("https://"))


def focus(page: Page, wanted: Locator) -> None:
    """By the Tab key alone."""
    expect(wanted).to_be_visible()
    for _ in range(100):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the Tab key does not get to {wanted}")


def test_the_keyboard_is_enough(service: Endpoints, visit: Visit) -> None:
    page = visit(service.console).page
    focus(page, page.get_by_role("link", name="Simulate"))
    page.keyboard.press("Enter")
    focus(page, page.locator("#subscribe-form").get_by_label("sink", exact=True))
    page.keyboard.press("End")
    page.keyboard.type("-by-keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Subscribed: ")).to_be_visible()
    focus(page, page.get_by_label("Speed"))
    page.keyboard.press("Control+A")
    page.keyboard.type("max")
    focus(page, page.get_by_role("button", name="Start"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?like="))
    expect(page.locator("#runs .run").first).to_contain_text("finished")
    focus(page, page.locator("#runs .sessions a").first)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/calls/"))
    rows = page.locator(".ladder-body a[data-key]")
    expect(delivered(page)).to_have_count(1)
    expect(page.locator(".replay")).to_be_visible()
    focus(page, rows.first)
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".panel")).to_contain_text("Session")
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_be_hidden()
    expect(rows.nth(1)).to_be_focused()
