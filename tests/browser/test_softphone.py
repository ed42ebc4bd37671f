"""The softphone of examples/, while all around it comes and goes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor
from tests.harness.commands import Running, eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import load_recording, played_anew

Json = dict[str, Any]

# Notes the id of each CloudEvent that the page reads, and its states; a reload does not lose the notes.
NOTES = """
const note = (name, text) => { sessionStorage[name] = `${sessionStorage[name] ?? ""}${text}\n`; };
const parse = JSON.parse;
JSON.parse = (text, ...more) => {
  const value = parse(text, ...more);
  if (value?.specversion) note("received", value.id);
  return value;
};
new MutationObserver(() => {
  const state = document.querySelector("#state");
  if (state) note("states", state.textContent);
}).observe(document, { subtree: true, childList: true });
"""
PHONE = "JSON.parse(localStorage.getItem('softphone'))"


def call_for(registration: str, name: str) -> list[Json]:
    """The events of a recorded call, as if somebody called now."""
    events = played_anew(load_recording(name), round(SystemClock().now() * 1000))
    return [event | {"subject": registration} for event in events]


def test_it_is_short_enough_to_be_read() -> None:
    folder = Path(__file__).parents[2] / "examples" / "softphone"
    names = ("index.html", "softphone.js")
    assert sum(len((folder / name).read_text().splitlines()) for name in names) < 150


def phone_in(visitor: Visitor, address: str) -> tuple[Page, str]:
    """The page of a new phone, ready, and its registration."""
    visitor.page.add_init_script(NOTES)
    visitor.page.goto(address)
    expect(visitor.page.locator("#state")).to_have_text("Ready")
    return visitor.page, visitor.page.locator("#registration").inner_text()


def test_nothing_is_missed_or_doubled_over_a_reload_and_a_restart_of_the_server(
    start: Callable[..., Running],
    start_serve: Callable[..., Running],
    data: Path,
    api: HttpClient,
    visit: Callable[..., Visitor],
    screenshots: Path,
) -> None:
    serve = start_serve()
    endpoints = Endpoints.read(data)
    visitor = visit("about:blank", width=480, height=640)
    page, registration = phone_in(visitor, f"{endpoints.api}/softphone/")
    events = call_for(registration, "hold-resume")
    statuses = [event["data"].get("status") for event in events[1:]]
    coming = iter(events)

    def publish() -> None:
        api.expect({202}, "POST", f"{endpoints.network}/events", json=next(coming))

    call, steps = page.locator("article"), page.locator("article li")
    publish()
    expect(call).to_have_class("ringing")
    eventually(lambda: page.evaluate(f"Object.values({PHONE}.calls)[0].followed"))
    for _ in statuses[:2]:
        publish()
    expect(steps).to_have_count(2)
    visitor.picture(screenshots / "softphone.png")

    page.goto("about:blank")
    publish()
    page.goto(f"{endpoints.api}/softphone/")
    expect(steps).to_have_count(3)

    serve.stop()
    expect(page.locator("#state")).to_contain_text("The service does not answer. Trying again")
    ports = [endpoints.api, endpoints.sink]
    port, sink_port = (address.rpartition(":")[2] for address in ports)
    again = start("serve", "--port", port, "--sink-port", sink_port, "--data-dir", str(data))
    again.await_output("Ctrl-C stops everything")
    for _ in statuses[3:]:
        publish()
    expect(call).to_have_class("over")
    expect(page.locator("#state")).to_have_text("Ready")

    assert [text.rpartition("  ")[2] for text in steps.all_text_contents()] == statuses
    received = page.evaluate("sessionStorage.received").split()
    assert len(received) == len(set(received)) == len(events)
    # The browser says that the server was away, and nothing else.
    assert {complaint for complaint in visitor.complaints if "net::ERR_" not in complaint} == set()
    visitor.complaints.clear()


def test_a_phone_whose_channel_was_deleted_makes_another_and_rings(
    service: Endpoints, visit: Callable[..., Visitor]
) -> None:
    page, registration = phone_in(visit("about:blank"), f"{service.api}/softphone/")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#state")).to_have_text("Registration copied")
    former = page.evaluate(f"{PHONE}.channel.id")
    issuer = HttpClient(lambda: "")
    form = {"grant_type": "client_credentials", "client_id": "softphone"}
    token = issuer.expect({200}, "POST", f"{service.issuer}/token", data=form).json()["access_token"]
    issuer.close()
    backend = HttpClient(lambda: token)
    backend.expect({204}, "DELETE", f"{service.api}/channels/v0/channels/{former}")
    eventually(lambda: page.evaluate(f"{PHONE}.channel.id") != former)
    expect(page.locator("#state")).to_have_text("Ready")
    assert "The channel was deleted. Trying again …" in page.evaluate("sessionStorage.states").splitlines()
    invitation = call_for(registration, "declined")[0]
    backend.expect({202}, "POST", f"{service.network}/events", json=invitation)
    expect(page.locator("article")).to_have_class("ringing")
    backend.close()


def test_a_second_tab_waits_for_the_first(service: Endpoints, visit: Callable[..., Visitor]) -> None:
    first, registration = phone_in(visit("about:blank"), f"{service.api}/softphone/")
    second = first.context.new_page()
    second.goto(first.url)
    expect(second.locator("#state")).to_contain_text("This phone is open in another tab")
    first.close()
    expect(second.locator("#state")).to_have_text("Ready")
    assert second.locator("#registration").inner_text() == registration


def test_a_first_call_is_two_clicks_away(service: Endpoints, visit: Callable[..., Visitor]) -> None:
    page, registration = phone_in(visit("about:blank"), f"{service.api}/softphone/")
    address = page.url
    page.get_by_role("link", name="Simulate").click()
    expect(page.locator("#play-form").get_by_label("Registration")).to_have_value(registration)
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile(r"\?like="))
    page.goto(address)
    expect(page.locator("article")).to_have_class("ringing")
    expect(page.locator("article h2")).to_have_text("Alice Meyer")
