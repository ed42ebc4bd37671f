"""The pictures of the whole service that the documents show."""

import math
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.simulation_forms import play, subscribe
from tests.browser.visitor import Scheme, Visitor
from tests.harness.commands import Running
from tests.harness.valkeys import ValkeyServer
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.store.activity_log import counts_text, waiting_field
from webrtc_events.store.keys import activity_key

Visit = Callable[..., Visitor]


def an_hour_of_calls(server: ValkeyServer) -> None:
    """What processes counted before: more and more calls, and a sink that was away for some minutes."""
    this_minute = int(SystemClock().now() // 60)
    with server.client() as store:
        for ago in range(1, 61):
            accepted = round(900 - 9 * ago + 80 * math.sin(ago / 3) + 40 * math.cos(2 * ago))
            retried = 40 + 9 * ago % 50 if 22 <= ago <= 27 else ago % 3
            counts = {
                "api": counts_text({"accepted": accepted, "duplicates": ago % 2}),
                "worker": counts_text({"delivered": accepted * 2 - retried, "retried": retried}),
            }
            waiting = waiting_field(retried // 2 + ago % 4)
            store.hset(activity_key(this_minute - ago), mapping={**counts, **waiting})


def test_a_picture_of_each_page_of_the_console(
    start_serve: Callable[..., Running], data: Path, tmp_path: Path, visit: Visit, screenshots: Path
) -> None:
    with ValkeyServer(tmp_path / "store") as server, socket.socket() as closed:
        an_hour_of_calls(server)
        start_serve(WEBRTC_EVENTS_REDIS_URL=server.url)
        service = Endpoints.read(data)
        visitor = visit(service.console, width=1280, height=1000)
        page = visitor.page
        for path in ("crm", "billing", "wallboard"):
            subscribe(page, service, path, f"registration-{path}")
            subscribe(page, service, path, f"registration-{path}", f"session-{path}")
        # Bound and not listening: connections are refused.
        closed.bind(("127.0.0.1", 0))
        away = f"https://localhost:{closed.getsockname()[1]}"
        subscribe(page, service, "events", "registration-crm", sink=away)
        play(page, service, "registration-wallboard", calls="40", rate="40", speed="max", outcome="busy")
        expect(page.locator("#runs .run").first).to_contain_text("finished")
        play(page, service, "registration-crm", "session-crm", ringing_s="1", talk_s="300")
        expect(page.locator("#runs .run").first).to_contain_text("accepted 4 of 5")
        visitor.picture(screenshots / "console-simulate.png")
        page.goto(f"{service.console}subscriptions/")
        expect(page.get_by_role("row")).to_have_count(8)
        visitor.picture(screenshots / "console-subscriptions.png", height=560)
        page.goto(service.console)
        expect(page.locator("#verdict")).to_contain_text(away.removeprefix("https://"))
        visitor.picture(screenshots / "console-overview.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_of_the_softphone(
    service: Endpoints, visit: Visit, scheme: Scheme, screenshots: Path
) -> None:
    visitor = visit(f"{service.api}/softphone/", width=520, height=380, scheme=scheme)
    expect(visitor.page.locator("#state")).to_have_text("Ready")
    registration = visitor.page.locator("#registration").inner_text()
    player = visit(service.console).page
    play(player, service, registration, f"session-{scheme}", originator_name="Alice Meyer", ringing_s="60")
    expect(visitor.page.locator("article li")).to_have_count(2)
    visitor.picture(screenshots / f"softphone-{scheme}.png")
    player.get_by_role("button", name="Stop").first.click()
