"""The site of the documents can be read anywhere, and loads nothing from elsewhere."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Request, expect

from tests.browser.visitor import Scheme, Visitor
from tests.harness.documents import ROOT

Visit = Callable[..., Visitor]

# One of each kind.
PAGES = (
    "",
    "quick-start/",
    "concepts/",
    "tutorials/call-audit/",
    "operations/",
    "operations/install/",
    "settings/",
    "reference/commands/",
    "reference/errors/",
    "beside-others/",
    "decisions/",
    "project/ARCHITECTURE/",
    "project/deploy/",
    "project/deploy/nginx.conf/",
)
CONTRACTS = ("webrtc-events", "webrtc-events-subscriptions", "network-events", "channels")
OF_THE_THEME = ("aria-dialog-name: ['.md-search']", "landmark-unique: ['#__code_0 > .md-code__nav']")
"""What axe-core has against its elements, not against their style, which is ours to change."""

BACKGROUND = "getComputedStyle(document.body).getPropertyValue('--md-default-bg-color')"
LIGHT = "#fff"
DRAWN = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"

# A machine that is busy with other things is slow.
_BOUND_S = 500.0
# What a browser fetches by itself for a page. A link that somebody clicks is not among it.
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|object|embed)\b[^>]*\b(?:src|srcset|data)=[\"']?(?:https?:)?//"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*href=[\"']?(?:https?:)?//"
    r"|@import [^;]*//|url\([\"']?(?:https?:)?//"
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class.
        """Says nothing."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_BOUND_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def site(folder: Path) -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_no_page_names_what_is_elsewhere_to_be_loaded(folder: Path) -> None:
    pages = [path for path in folder.rglob("*") if path.suffix in (".html", ".css")]
    assert len(pages) > 100
    found = {
        path.relative_to(folder).as_posix(): match[0]
        for path in pages
        if (match := _LOADED.search(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def darken(visitor: Visitor) -> None:
    """As by the button of the theme, which keeps to the scheme of the load when the system changes."""
    visitor.page.emulate_media(color_scheme="dark")
    visitor.run(DRAWN)
    visitor.run("document.body.dataset.mdColorScheme = 'slate'")
    visitor.run(DRAWN)
    assert visitor.run(BACKGROUND) != LIGHT


@pytest.mark.parametrize(("width", "height"), [(1440, 1000), (390, 844)])
def test_pages_fit_any_screen_and_ask_nobody_else(visit: Visit, site: str, width: int, height: int) -> None:
    """In both schemes, of one load each: that takes most of the time."""
    visitor = visit(site, width=width, height=height)
    page = visitor.page
    asked: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((site, "data:", "blob:")):
            asked.append(request.url)

    page.on("request", note)
    wide = {}
    contracts = [f"reference/{contract}/" for contract in CONTRACTS]
    for path in (*PAGES, *contracts):
        page.emulate_media(color_scheme="light")
        page.goto(f"{site}{path}", wait_until="networkidle", timeout=_BOUND_S * 1000)
        if path in contracts:
            shown = page.frame_locator(".swagger-ui-iframe").locator(".opblock").first
            expect(shown).to_be_visible(timeout=_BOUND_S * 1000)
        assert visitor.run(BACKGROUND) == LIGHT
        wide[path, "light"] = visitor.overflow()
        darken(visitor)
        wide[path, "dark"] = visitor.overflow()
    assert {shown: pixels for shown, pixels in wide.items() if pixels > 0} == {}
    assert asked == []


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_is_shown(visit: Visit, site: str, contract: str) -> None:
    page = visit(f"{site}reference/{contract}/").page
    shown = page.frame_locator(".swagger-ui-iframe")
    expect(shown.locator(".opblock").first).to_be_visible()
    # Nothing can be sent from here: there is no service behind it.
    shown.locator(".opblock-summary-control").first.click()
    expect(shown.locator(".opblock-body").first).to_be_visible()
    expect(shown.locator(".try-out__btn")).to_have_count(0)


def test_a_diagram_is_drawn(visit: Visit, site: str) -> None:
    page = visit(f"{site}project/ARCHITECTURE/").page
    drawn = page.locator(".diagram svg")
    expect(drawn).to_have_count(2)
    expect(drawn.first).to_contain_text("the dispatcher")
    assert len(set(drawn.evaluate_all("all => all.map(svg => svg.id)"))) == 2


def test_a_picture_is_that_of_the_scheme(visit: Visit, site: str) -> None:
    page = visit(f"{site}quick-start/", scheme="dark").page
    expect(page.locator("img[src*=call-ladder-dark]")).to_be_visible()
    expect(page.locator("img[src*=call-ladder-light]")).to_be_hidden()


def test_somebody_finds_a_setting(visit: Visit, site: str) -> None:
    page = visit(site).page
    page.get_by_role("textbox", name="Search").fill("SINK_FAILURE_S")
    found = page.locator(".md-search-result__link")
    expect(found.filter(has_text="Settings").first).to_be_visible()
    found.filter(has_text="Settings").first.click()
    expect(page).to_have_url(re.compile(rf"^{re.escape(site)}settings/"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["quick-start/", "tutorials/call-audit/", "settings/"])
def test_axe_finds_nothing_in_our_style(visit: Visit, site: str, path: str, scheme: Scheme) -> None:
    faults = visit(f"{site}{path}", scheme=scheme).faults()
    assert [fault for fault in faults if not fault.startswith(OF_THE_THEME)] == []
