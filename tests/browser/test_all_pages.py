"""What holds of every page: it can be read by anybody, on any screen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.simulation_forms import play, subscribe
from tests.browser.visitor import Scheme, Visitor
from webrtc_events.local.endpoints import Endpoints

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def addresses() -> dict[str, str]:
    """By the names of the pages; `places` fills it, once there is something to see."""
    return {}


@pytest.fixture
def places(service: Endpoints, visit: Visit, addresses: dict[str, str]) -> dict[str, str]:
    if not addresses:
        page = visit(service.console).page
        subscribe(page, service, "all", "r-all")
        subscription = subscribe(page, service, "all", "r-all", "s-all")
        play(page, service, "r-all", "s-all", speed="max")
        page.goto(f"{service.console}calls/s-all")
        expect(page.locator("[data-part=facts]")).to_contain_text("Terminated")
        addresses.update(
            {
                "overview": service.console,
                "calls": f"{service.console}calls/",
                "ladder": f"{service.console}calls/s-all",
                "subscriptions": f"{service.console}subscriptions/",
                "subscription": f"{service.console}subscriptions/{subscription}",
                "end": f"{service.console}subscriptions/{subscription}/end",
                "simulate": f"{service.console}simulate/",
                "missing": f"{service.console}nowhere",
                "start": f"{service.api}/",
                "inbox": f"{service.sink}/",
                "softphone": f"{service.api}/softphone/",
            }
        )
    return addresses


def unfold(page: Page) -> None:
    """All that a click would show."""
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_page(
    places: dict[str, str], visit: Visit, scheme: Scheme, screenshots: Path
) -> None:
    faults: list[str] = []
    for name, address in places.items():
        visitor = visit(address, scheme=scheme, width=1280)
        unfold(visitor.page)
        faults += [f"{name}: {fault}" for fault in visitor.faults()]
        visitor.picture(screenshots / f"page-{name}-{scheme}.png")
    assert faults == []


@pytest.mark.parametrize("width", [360, 2560])
def test_no_page_scrolls_sideways(
    places: dict[str, str], visit: Visit, width: int, screenshots: Path
) -> None:
    for name, address in places.items():
        visitor = visit(address, width=width, height=1440 if width > 1440 else 740)
        unfold(visitor.page)
        assert (name, visitor.overflow()) <= (name, 0)
        visitor.picture(screenshots / f"page-{name}-{width}.png", whole=width < 1440)


def test_every_page_of_serve_is_reached_from_the_console_or_the_start_page(
    places: dict[str, str], service: Endpoints, visit: Visit
) -> None:
    linked: set[str] = set()
    for name in ("start", "overview", "calls", "subscriptions"):
        links = visit(places[name]).page.locator("a[href]")
        linked |= set(links.evaluate_all("links => links.map((link) => link.href)"))
    kinds = ("overview", "calls", "ladder", "subscriptions", "subscription", "simulate", "inbox", "softphone")
    assert {
        name for name in kinds if places[name].rstrip("/") not in {to.rstrip("/") for to in linked}
    } == set()
