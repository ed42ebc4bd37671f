"""The page of a call in a browser, when it cannot learn what is new."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.console.conftest import chromium
from tests.console.ladder.traces import healthy, played
from tests.console.traced import keep
from tests.harness.browser import Browser, Page
from webrtc_events.local.stack.http_server import HttpServer, asgi
from webrtc_events.local.stack.ports import listen_loopback, reach
from webrtc_events.store.store import Store

__all__ = ["chromium"]

pytestmark = pytest.mark.slow


@pytest.fixture
def url(client: FlaskClient) -> Iterator[str]:
    sockets = listen_loopback(0, "")
    host, port = reach(sockets)
    server = HttpServer("console", asgi(client.application), sockets)
    server.start()
    yield f"http://{host}:{port}"
    server.stop()


def test_it_says_that_the_login_is_over(store: Store, url: str, chromium: Browser) -> None:
    session = keep(store, played("declined", [healthy]))
    page = Page(chromium, f"{url}/calls/{session}")
    page.run("window.asked = window.fetch; window.fetch = async () => new Response('{}', {status: 401})")
    page.until("document.querySelector('.live').textContent === 'The login is over: reload the page'")
    page.run("window.fetch = async () => new Response('{}', {status: 503})")
    page.until("document.querySelector('.live').textContent.startsWith('The console does not answer')")
    page.run("window.fetch = window.asked")
    page.until("document.querySelector('.live').textContent === 'Live'")
    assert page.complaints == []
