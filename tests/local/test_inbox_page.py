"""The inbox in a browser: what is new comes by itself, and nobody who reads is disturbed."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.browser import Browser, Page
from tests.harness.commands import Running
from webrtc_events.local.demo.http_client import HttpClient

pytestmark = pytest.mark.slow

_MEDIA_TYPE = {"Content-Type": "application/cloudevents+json"}
_SHOWN = "document.querySelectorAll('#rows > :not([hidden])')"


class Sink:
    """A running `webrtc-events sink`, and what is sent to it."""

    def __init__(self, url: str, client: HttpClient) -> None:
        self.url = url
        self._client = client

    def post(self, path: str = "/x", body: bytes | None = None, **changes: Any) -> None:
        event = {
            "id": str(uuid.uuid4()),
            "source": "/webrtc-events",
            "specversion": "1.0",
            "type": "org.camaraproject.webrtc-events.v0.subscription-ended",
            "time": "2026-01-01T00:00:00Z",
            "data": {"subscriptionId": "s-1", "terminationReason": "SUBSCRIPTION_EXPIRED"},
        } | changes
        sent = json.dumps(event).encode() if body is None else body
        self._client.expect({204, 400}, "POST", f"{self.url}{path}", data=sent, headers=_MEDIA_TYPE)


@pytest.fixture
def start_sink(start: Callable[..., Running], data: Path) -> Callable[..., tuple[Running, str]]:
    def begin(port: int = 0) -> tuple[Running, str]:
        running = start("sink", "--port", str(port), "--data-dir", str(data))
        running.await_output("The sink listens")
        return running, running.output.split("listens on ")[1].split("/ ")[0]

    return begin


@pytest.fixture
def sink(start_sink: Callable[..., tuple[Running, str]], sink_client: HttpClient) -> Sink:
    _, url = start_sink()
    return Sink(url, sink_client)


def _open(chromium: Browser, sink: Sink, query: str = "", **size: int) -> Page:
    return Page(chromium, f"{sink.url}/{query}", **size)


def _await_rows(page: Page, count: int) -> None:
    page.until(f"{_SHOWN}.length === {count}")


def test_new_notifications_appear_newest_first_with_their_path(chromium: Browser, sink: Sink) -> None:
    page = _open(chromium, sink)
    assert page.run("document.querySelector('#empty').checkVisibility()")
    sink.post("/my-app")
    _await_rows(page, 1)
    sink.post("/another")
    _await_rows(page, 2)
    assert page.run(f"[...{_SHOWN}].map(row => row.querySelector('.path').textContent)") == [
        "/another",
        "/my-app",
    ]
    assert page.run("document.title") == "Inbox (2)"
    assert not page.run("document.querySelector('#empty').checkVisibility()")
    assert page.complaints == []


def test_reader_keeps_what_is_open_and_where_it_is(chromium: Browser, sink: Sink) -> None:
    for _ in range(60):
        sink.post("/read")
    page = _open(chromium, sink)
    _await_rows(page, 60)
    page.run(f"window.read = {_SHOWN}[30]; read.open = true; read.scrollIntoView({{block: 'center'}})")
    page.until("read.querySelector('pre').textContent.includes('SUBSCRIPTION_EXPIRED')")
    page.run("getSelection().selectAllChildren(read.querySelector('pre'))")
    top = page.run("read.getBoundingClientRect().top")
    for _ in range(25):
        sink.post("/new")
    _await_rows(page, 85)
    assert abs(page.run("read.getBoundingClientRect().top") - top) < 1
    assert page.run("read.isConnected && read.open")
    assert "SUBSCRIPTION_EXPIRED" in page.run("String(getSelection())")
    assert page.run("document.querySelector('#news').textContent") == "↑ 25 new"
    page.run("document.querySelector('#news').click()")
    page.until("scrollY === 0 && document.querySelector('#news').hidden")


def test_what_is_open_at_the_top_does_not_move_either(chromium: Browser, sink: Sink) -> None:
    sink.post("/read")
    page = _open(chromium, sink)
    _await_rows(page, 1)
    # Long enough to scroll.
    page.run("document.body.style.minHeight = '300vh'")
    page.run(f"window.read = {_SHOWN}[0]; read.open = true")
    page.until("read.querySelector('pre').textContent.length > 9")
    top = page.run("read.getBoundingClientRect().top")
    for _ in range(5):
        sink.post("/new")
    _await_rows(page, 6)
    assert abs(page.run("read.getBoundingClientRect().top") - top) < 1


def test_filter_holds_for_what_comes_later_and_through_a_reload(chromium: Browser, sink: Sink) -> None:
    sink.post("/a")
    sink.post("/b")
    sink.post("/b", type="org.camaraproject.webrtc-events.v0.session-status")
    page = _open(chromium, sink, "?path=/b")
    _await_rows(page, 2)
    sink.post("/a")
    sink.post("/b")
    _await_rows(page, 3)
    assert page.run("document.querySelector('#count').textContent") == "3 of 5 shown"
    page.run(
        "tools.elements.type.value = 'session-status';"
        "tools.elements.type.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    _await_rows(page, 1)
    page.run("location.reload()")
    page.until("document.readyState === 'complete' && document.querySelector('#count').textContent")
    _await_rows(page, 1)
    page.run("tools.elements.path.value = '/nowhere'; tools.dispatchEvent(new Event('input'))")
    page.until("document.querySelector('#nothing').checkVisibility()")


def test_clear_empties_every_page(chromium: Browser, sink: Sink) -> None:
    for _ in range(3):
        sink.post()
    page, other = (_open(chromium, sink) for _ in range(2))
    _await_rows(page, 3)
    _await_rows(other, 3)
    page.call("Page.bringToFront")
    page.run("document.querySelector('#clear').click()")
    page.until("document.querySelector('#empty').checkVisibility()")
    other.call("Page.bringToFront")
    _await_rows(other, 0)
    sink.post("/later")
    _await_rows(other, 1)
    assert page.complaints == []


def test_hostile_notifications_are_shown_as_text(chromium: Browser, sink: Sink) -> None:
    script = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    sink.post(f"/{script}", type=script, data={"subscriptionId": script, "status": script}, x=script)
    sink.post("/deep", body=b"[" * 50_000 + b"]" * 50_000)
    sink.post("/long", data={"subscriptionId": "s-1", "terminationReason": "x" * 3_000_000})
    sink.post("/bytes", body=b"\xff\x00<script>")
    for width in (1280, 390):
        page = _open(chromium, sink, width=width)
        _await_rows(page, 4)
        page.run(f"for (const row of {_SHOWN}) row.open = true")
        page.until(f"[...{_SHOWN}].every(row => row.querySelector('pre').textContent.length > 9)")
        assert script in page.run(f"{_SHOWN}[3].querySelector('.path').title")
        assert script.replace('"', '\\"') in page.run(f"{_SHOWN}[3].querySelector('pre').textContent")
        assert page.run("document.querySelectorAll('#rows script, #rows img').length") == 0
        assert page.run("document.title") == "Inbox (4)"
        # Neither breaks out of the page's width.
        assert page.run("document.documentElement.scrollWidth") <= width
        assert page.run(f"{_SHOWN}[1].querySelector('pre').textContent.length") == 100_000
        assert page.run(f"{_SHOWN}[1].querySelector('.more').checkVisibility()")
        assert page.complaints == []


def test_thousand_are_shown_at_once(chromium: Browser, sink: Sink) -> None:
    for number in range(1000):
        sink.post(f"/{number}", body=b"v=0\r\n" * 1000)
    page = _open(chromium, sink)
    _await_rows(page, 1000)
    # Their texts, 5 MB, come one by one when they are opened.
    sent = page.run(
        "performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.decodedBodySize, 0)"
    )
    assert 100_000 < sent < 500_000
    page.run(f"window.read = {_SHOWN}[999]; read.open = true; read.scrollIntoView()")
    page.until("read.querySelector('pre').textContent.includes('v=0')")
    for _ in range(3):
        sink.post("/new")
    # The oldest go, but not the one that is read.
    page.until(f"{_SHOWN}[0].item.path === '/new'")
    assert page.run("read.isConnected && read.open")
    assert page.run("rows.childElementCount") == 1001


def test_sink_that_is_started_anew_is_noticed_and_the_reader_keeps_what_was_there(
    chromium: Browser, start_sink: Callable[..., tuple[Running, str]], sink_client: HttpClient
) -> None:
    running, url = start_sink()
    sink = Sink(url, sink_client)
    for _ in range(5):
        sink.post("/before")
    page = _open(chromium, sink)
    _await_rows(page, 5)
    page.run(f"window.read = {_SHOWN}[1]; read.open = true")
    page.until("read.querySelector('pre').textContent.length > 9")
    running.stop()
    page.until("document.querySelector('#away').checkVisibility()")
    start_sink(int(url.rpartition(":")[2]))
    sink.post("/after")
    _await_rows(page, 6)
    assert not page.run("document.querySelector('#away').checkVisibility()")
    assert page.run("read.open && read.querySelector('pre').textContent.includes('EXPIRED')")
    page.run(f"{_SHOWN}[1].open = true")
    page.until(f"{_SHOWN}[1].querySelector('pre').textContent.includes('no longer kept')")
