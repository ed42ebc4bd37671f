"""A page that reads a channel by `new WebSocket(url, [..])`, with nothing between it and the service."""

from collections.abc import Callable
from typing import Any

from tests.browser.visitor import Visitor
from tests.harness.commands import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import load_recording, played_anew

TYPE = "org.camaraproject.webrtc-events.v0.session-invitation"
# The example of docs/channels.md, which notes what it gets.
PAGE = """
({ url, id, token }) => {
  const notes = window.notes = { events: [], acknowledged: [], closed: [], protocols: [] };
  let last = null;
  window.connect = () => {
    const offered = ["webrtc-events.channels.v0", `webrtc-events.token.${token}`];
    if (last) offered.push(`webrtc-events.after.${last}`);
    const socket = window.socket = new WebSocket(`${url}/channels/v0/channels/${id}/events`, offered);
    socket.onopen = () => notes.protocols.push(socket.protocol);
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.event === "acknowledged") return notes.acknowledged.push(message.data.cursor);
      notes.events.push(message.data);
      last = message.id;
      socket.send(JSON.stringify({ cursor: last }));
    };
    socket.onclose = ({ code, reason }) => notes.closed.push([code, reason]);
  };
  connect();
}
"""


def test_a_page_reads_acknowledges_and_comes_back(service: Endpoints, visit: Callable[..., Visitor]) -> None:
    issuer = HttpClient(lambda: "")
    form = {"grant_type": "client_credentials", "client_id": "page"}
    token = issuer.expect({200}, "POST", f"{service.issuer}/token", data=form).json()["access_token"]
    issuer.close()
    backend = HttpClient(lambda: token)
    channels = f"{service.api}/channels/v0/channels"
    channel = backend.expect({201}, "POST", channels).json()
    config = {"subscriptionDetail": {"registrationId": "of-a-page"}}
    subscription = {"protocol": "HTTP", "sink": channel["sink"], "types": [TYPE], "config": config}
    backend.expect({201}, "POST", f"{service.api}/webrtc-events/v0.2/subscriptions", json=subscription)
    page = visit(f"{service.api}/softphone/").page

    def notes() -> dict[str, Any]:
        found: dict[str, Any] = page.evaluate("notes")
        return found

    def publish() -> None:
        now_ms = round(SystemClock().now() * 1000)
        invitation = played_anew(load_recording("declined"), now_ms)[0] | {"subject": "of-a-page"}
        backend.expect({202}, "POST", f"{service.network}/events", json=invitation)

    page.evaluate(PAGE, {"url": service.api.replace("http", "ws", 1), **channel})
    for _ in range(3):
        publish()
    eventually(lambda: len(notes()["acknowledged"]) == 3)
    page.evaluate("socket.close()")
    eventually(lambda: len(notes()["closed"]) == 1)
    publish()
    page.evaluate("connect()")
    eventually(lambda: len(notes()["events"]) == 4)
    backend.expect({204}, "DELETE", f"{channels}/{channel['id']}")
    eventually(lambda: len(notes()["closed"]) == 2)
    assert notes()["protocols"] == 2 * ["webrtc-events.channels.v0"]
    assert notes()["closed"] == [[1005, ""], [4404, "NOT_FOUND: The channel has ended."]]
    assert len({event["id"] for event in notes()["events"]}) == 4
    backend.close()
