"""The sink's behaviours in a browser: set by a form, counted down in sight, removed by a button."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.browser import Browser, Page
from tests.harness.commands import Running
from tests.local.notifications import MEDIA_TYPE, notification, sink_url
from webrtc_events.local.demo.http_client import HttpClient

pytestmark = pytest.mark.slow

_SET = "[...document.querySelectorAll('#behaviours-set li')].map(row => row.innerText.replace(/\\s+/g, ' '))"
_FORM = "document.querySelector('#behaviour')"


@pytest.fixture
def url(start: Callable[..., Running], data: Path) -> str:
    sink = start("sink", "--port", "0", "--data-dir", str(data))
    sink.await_output("Its certificate on")
    return sink_url(sink)


def _open(chromium: Browser, url: str, **size: int) -> Page:
    page = Page(chromium, f"{url}/", **size)
    page.run("document.querySelector('#behaviours').open = true")
    return page


def _submit(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        field = f"{_FORM}.elements.{name}"
        page.run(f"{field}.value = '{value}'; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))")
    page.run(f"{_FORM}.requestSubmit()")


def test_form_sets_what_is_counted_down_and_shown(
    chromium: Browser, url: str, sink_client: HttpClient
) -> None:
    page = _open(chromium, url)
    assert page.run("document.querySelector('#behaviours-count').textContent") == (
        "The sink answers as it should."
    )
    _submit(page, path="/a b", answer="429", retryAfter="5", count="3")
    page.until(f"{_SET}[0] === '/a b answers 429 Retry-After 5 s, for 3 more requests Remove'")
    answer = sink_client.request("POST", f"{url}/a b", data=notification(), headers=MEDIA_TYPE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    page.until(f"{_SET}[0]?.includes('for 2 more requests')")
    page.until("document.querySelector('#rows .answered.behaved').textContent === '429'")
    assert page.run("document.querySelector('#behaviours-count').textContent") == "1 set"
    assert page.complaints == []


def test_button_removes_it_and_another_page_sees_that(chromium: Browser, url: str) -> None:
    page, other = (_open(chromium, url) for _ in range(2))
    page.call("Page.bringToFront")
    _submit(page, answer="hang")
    page.until(f"{_SET}[0] === '/ answers hang until it is removed Remove'")
    other.call("Page.bringToFront")
    other.until(f"{_SET}.length === 1")
    other.run("document.querySelector('#behaviours-set button').click()")
    other.until(f"{_SET}.length === 0")
    page.call("Page.bringToFront")
    page.until(f"{_SET}.length === 0")
    assert page.complaints == other.complaints == []


def test_any_status_can_be_typed(chromium: Browser, url: str) -> None:
    page = _open(chromium, url)
    status = f"{_FORM}.elements.status"
    assert not page.run(f"{status}.checkVisibility()")
    _submit(page, answer="other", status="418")
    page.until(f"{_SET}[0]?.startsWith('/ answers 418')")
    assert page.run(f"{status}.checkVisibility()")
    # The browser refuses what cannot be, and says so at the field.
    _submit(page, status="600")
    assert page.run(f"{status}.validity.rangeOverflow")
    assert page.run(f"{_SET}.length") == 1


def test_time_to_wait_is_no_question_where_there_is_no_status(chromium: Browser, url: str) -> None:
    page = _open(chromium, url)
    _submit(page, answer="429", retryAfter="5")
    page.until(f"{_SET}[0]?.includes('Retry-After 5 s')")
    _submit(page, answer="drop")
    page.until(f"{_SET}[0] === '/ answers drop until it is removed Remove'")
    assert not page.run(f"{_FORM}.elements.retryAfter.checkVisibility()")


def test_refusal_is_said(chromium: Browser, url: str) -> None:
    page = _open(chromium, url)
    _submit(page, path="x" * 1001)
    page.until("document.querySelector('#behaviour-fault').checkVisibility()")
    assert "more than 1000 characters" in page.run("document.querySelector('#behaviour-fault').textContent")
    _submit(page, path="/x")
    page.until("!document.querySelector('#behaviour-fault').checkVisibility()")


@pytest.mark.parametrize("width", [360, 1280])
def test_everything_is_labelled_reached_by_keys_and_within_the_width(
    chromium: Browser, url: str, width: int
) -> None:
    page = _open(chromium, url, width=width)
    _submit(page, path="/a/" + "very-long/" * 20, answer="500", count="9")
    page.until(f"{_SET}.length === 1")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(f"[...{_FORM}.elements].every(field => field.matches('button') || field.labels.length)")
    assert page.run("document.querySelector('#behaviours-set button').ariaLabel").startswith("Remove the")
    page.run("document.querySelector('#behaviours summary').focus()")
    reached = []
    for _ in range(8):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(page.run("document.activeElement.name || document.activeElement.textContent"))
    assert reached[:7] == ["path", "answer", "retryAfter", "count", "handshake", "Set", "Remove"]


def test_focus_stays_while_it_counts_down(chromium: Browser, url: str, sink_client: HttpClient) -> None:
    page = _open(chromium, url)
    _submit(page, answer="500", count="2")
    page.until(f"{_SET}.length === 1")
    page.run("document.querySelector('#behaviours-set button').focus()")
    sink_client.request("POST", f"{url}/x", data=notification(), headers=MEDIA_TYPE)
    page.until(f"{_SET}[0]?.includes('for 1 more request ')")
    assert page.run("document.activeElement.ariaLabel") == "Remove the behaviour of /"
