"""The overview in a browser: figures come by themselves, and nobody who reads is disturbed."""

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.harness.browser import Browser, Page
from tests.harness.clocks import SteppedClock
from tests.harness.commands import chromium
from webrtc_events.console.access import MachineAccess
from webrtc_events.console.console_app import ConsoleOptions, console_app
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.sections import sections
from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.http_server import HttpServer, asgi
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.reporter import Reporter
from webrtc_events.store.store import Store

__all__ = ["chromium"]

pytestmark = pytest.mark.slow

_FIGURE = "document.querySelector('.tile.accepted .small').textContent"


@pytest.fixture
def url(store: Store, settings: Settings) -> Iterator[str]:
    options = ConsoleOptions(session_key=b"k" * 32, access=MachineAccess())
    app = console_app(options, sections(ConsoleParts(store, settings, SystemClock())))
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer("console", asgi(app), [listener])
    server.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/overview/"
    server.stop()


@pytest.fixture
def accept(settings: Settings) -> Iterator[Callable[[int], None]]:
    """A process that accepts so many more events, and says so at once."""
    watch, activity = StoreWatch.connect(settings, SystemClock()), Activity()
    reporter = Reporter(watch, activity, SteppedClock(), role="api")

    def count(events: int) -> None:
        activity.accepted += events
        reporter.step()

    yield count
    watch.store.close()


def test_figures_come_by_themselves_and_nothing_is_complained_of(
    chromium: Browser, url: str, accept: Callable[[int], None]
) -> None:
    page = Page(chromium, url)
    assert page.run("document.getElementById('quiet') !== null")
    accept(7)
    page.until(f"{_FIGURE}.includes('7 in the hour')")
    # The first steps have gone.
    assert page.run("document.getElementById('quiet') === null")
    assert page.run("document.getElementById('updated').textContent.startsWith('Updated ')")
    assert page.complaints == []


def test_who_reads_is_not_disturbed(chromium: Browser, url: str, accept: Callable[[int], None]) -> None:
    accept(1)
    page = Page(chromium, url)
    page.run("document.querySelector('#minutes summary').click()")
    page.run("document.querySelector('#minutes summary').focus()")
    accept(6)
    page.until(f"{_FIGURE}.includes('7 in the hour')")
    assert page.run("document.getElementById('minutes').open")
    assert page.run("document.activeElement === document.querySelector('#minutes summary')")
    page.run("document.getElementById('pause').click()")
    paused = page.run("document.getElementById('updated').textContent")
    assert paused.startswith("Paused at ")
    accept(1)
    page.run(
        "{ const ask = fetch; window.asked = 0; window.fetch = (...all) => { asked++; return ask(...all); } }"
    )
    # As when the page is seen again, which reads at once.
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.run("asked") == 0
    page.run("document.getElementById('pause').click()")
    assert page.run("asked") == 1
    page.until(f"{_FIGURE}.includes('8 in the hour')")


@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_no_width_makes_the_page_scroll_sideways(
    chromium: Browser, url: str, accept: Callable[[int], None], width: int
) -> None:
    accept(1)
    page = Page(chromium, url, width=width)
    assert page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
