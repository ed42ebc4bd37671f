"""In a browser, a search goes on by itself until it has found enough, or all was looked at."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.harness.browser import Browser, Page
from tests.harness.builders import created
from webrtc_events.local.stack.http_server import HttpServer, asgi
from webrtc_events.local.stack.ports import listen_loopback, reach
from webrtc_events.store import subscription_search
from webrtc_events.store.store import Store

pytestmark = pytest.mark.slow
COUNT = 90


@pytest.fixture
def url(console: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the console is served. Each of its pages ends after a few subscriptions, for the time is over."""
    monkeypatch.setattr(subscription_search, "_BUDGET_S", 0)
    monkeypatch.setattr(subscription_search, "_RECORDS_A_STEP", 7)
    sockets = listen_loopback(0, "")
    host, port = reach(sockets)
    server = HttpServer("console", asgi(console.application), sockets)
    server.start()
    yield f"http://{host}:{port}"
    server.stop()


def test_a_search_goes_on_to_the_last_subscription(url: str, store: Store, chromium: Browser) -> None:
    made = [created(store, registration=f"r{number}").id for number in range(COUNT)]
    created(store, registration="other", client="other", sink="https://rare.example/x")
    page = Page(chromium, f"{url}/subscriptions/?host=rare.example")
    page.until("document.querySelectorAll('#found tbody tr').length === 1")
    page.until("document.querySelector('nav.pages a[rel=next], nav.pages button') === null")
    assert page.run("document.querySelector('nav.pages').textContent").split()[2] == str(len(made) + 1)
    assert page.complaints == []


def test_a_search_stops_when_a_page_is_full(url: str, store: Store, chromium: Browser) -> None:
    for number in range(COUNT):
        created(store, registration=f"r{number}")
    page = Page(chromium, f"{url}/subscriptions/?client=app")
    page.until("document.querySelectorAll('#found tbody tr').length >= 50")
    page.until("document.querySelector('nav.pages a[rel=next]') !== null")
    assert page.run("document.querySelectorAll('#found tbody tr').length") < COUNT
    assert page.complaints == []
