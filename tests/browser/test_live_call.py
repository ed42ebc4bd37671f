"""A call is watched while it goes on, through the whole service."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.harness.commands import Running
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import DEFAULT_CLIENT, Endpoints
from webrtc_events.local.recordings import load_recording, played_anew

Json = dict[str, Any]


def subscribe(api: HttpClient, endpoints: Endpoints, event: Json, sink: str) -> None:
    request = {
        "protocol": "HTTP",
        "sink": sink,
        "types": ["org.camaraproject.webrtc-events.v0.session-status"],
        "config": {
            "subscriptionDetail": {
                "registrationId": event["subject"],
                "mediaSessionId": event["data"]["mediaSessionId"],
            }
        },
    }
    api.expect({201}, "POST", f"{endpoints.public}/subscriptions", json=request)


def test_a_call_is_watched_from_before_its_first_event_to_its_end(
    start_serve: Callable[..., Running],
    data: Path,
    api: HttpClient,
    visit: Callable[..., Visitor],
    screenshots: Path,
) -> None:
    start_serve()
    endpoints = Endpoints.read(data)
    events = played_anew(load_recording("declined"), round(SystemClock().now() * 1000))
    session, registration = events[0]["data"]["mediaSessionId"], events[0]["subject"]
    owner = {"deviceId": "00000000-0000-4000-8000-000000000001", "owner": DEFAULT_CLIENT}
    api.expect({200, 201}, "PUT", f"{endpoints.network}/registrations/{registration}", json=owner)
    subscribe(api, endpoints, events[0], f"{endpoints.sink}/watched")
    with socket.socket() as closed:
        # Bound and not listening: connections are refused.
        closed.bind(("127.0.0.1", 0))
        subscribe(api, endpoints, events[0], f"https://localhost:{closed.getsockname()[1]}/away")
        visitor = visit(f"{endpoints.console}calls/{session}", width=1280, height=1000)
        page = visitor.page
        expect(page.get_by_text("this page shows it as it happens")).to_be_visible()
        expect(page.locator(".ladder-card")).to_be_hidden()
        rows = page.locator(".ladder-body a[data-key]")
        for place, event in enumerate(events):
            api.expect({202}, "POST", f"{endpoints.network}/events", json=event)
            status = event["data"]["status"] if place else "session-invitation"
            expect(rows.filter(has_text=f"{status}#{place + 1}").first).to_be_attached()
        delivered = page.locator(".ladder-body .l-delivered")
        expect(delivered.filter(has_text="Declined#4")).to_be_attached()
        expect(page.locator(".ladder-body .l-retry").first).to_contain_text("again in")
        expect(page.locator("[data-part=facts]")).to_contain_text("Declined")
        visitor.picture(screenshots / "call-live.png")
    page.goto(f"{endpoints.console}calls/")
    expect(page.get_by_role("link", name=session)).to_be_visible()
    expect(page.locator(".pill.is-retried")).to_be_visible()
    assert visitor.faults() == []
