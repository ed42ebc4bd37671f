"""A Chromium for the whole run, pages of it that must not complain, and consoles to look at."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.visitor import Visitor
from tests.console.ladder.traces import failing, gone, hanging, healthy, played
from tests.console.traced import console, keep
from tests.harness.commands import api, data, one_serve, start, start_serve
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.stack.http_server import HttpServer, asgi
from webrtc_events.local.stack.ports import listen, reach
from webrtc_events.store.store import Store

__all__ = ["api", "data", "start", "start_serve"]

# Of a call with a bit of everything.
SINKS = [healthy, healthy, failing, hanging, gone]
_VISITORS = pytest.StashKey[list[Visitor]]()
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A machine that is busy with other things is slow.
_BOUND_MS = 30_000
_MISSING = (
    "No Chromium was found. Install one (Debian and Ubuntu: apt install chromium), "
    "or name it: make test-browser CHROMIUM=/path/to/it"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", default="build/screenshots", help="where the pictures of pages go")


def _chromium() -> str:
    named = os.environ.get("CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.exit(_MISSING, returncode=1)
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"]
        expect.set_options(timeout=_BOUND_MS)
        running = playwright.chromium.launch(executable_path=_chromium(), args=options)
        yield running
        running.close()


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens an address as somebody new. At the end of the test no page may have complained."""
    visitors = request.node.stash.setdefault(_VISITORS, [])

    def begin(url: str, **options: object) -> Visitor:
        visitors.append(Visitor(browser, url, **options))  # type: ignore[arg-type]
        return visitors[-1]

    yield begin
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Visitors leave before any server stops, whichever fixture was asked for first."""
    for visitor in item.stash.get(_VISITORS, []):
        visitor.close()


@pytest.fixture
def console_url(store: Store, settings: Settings) -> Iterator[str]:
    """The pages of calls over the test's store."""
    clock = SystemClock()
    sockets = listen("127.0.0.1", 0, "")
    host, port = reach(sockets)
    server = HttpServer("console", asgi(console(store, settings, clock)), sockets)
    server.start()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def session(store: Store) -> str:
    """A call with rows of every kind."""
    return keep(store, played("answered", SINKS))


@pytest.fixture
def call_url(console_url: str, session: str) -> str:
    return f"{console_url}/calls/{session}"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A `serve` for all tests that leave it running; each has its own registrations, sessions and paths."""
    with one_serve(tmp_path_factory.mktemp("service")) as endpoints:
        yield endpoints


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path:
    folder = Path(request.config.getoption("--screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
