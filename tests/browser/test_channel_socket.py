"""A page that reads a channel by the example of docs/channels.md: `new WebSocket(url, [..])`."""

import re
from collections.abc import Callable

from tests.browser.visitor import Visitor
from tests.harness.commands import eventually
from tests.harness.documents import ROOT
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import load_recording, played_anew

TYPE = "org.camaraproject.webrtc-events.v0.session-invitation"
EXAMPLE = re.search(r"```js\n(.*?)```", (ROOT / "docs" / "channels.md").read_text(), re.DOTALL)
# Notes what the example is given, and the sockets that it opens.
NOTING = """
(channel) => {
  const Original = WebSocket;
  window.sockets = [];
  window.ends = [];
  window.events = [];
  window.WebSocket = class extends Original {
    constructor(...asked) {
      super(...asked);
      sockets.push(this);
      this.addEventListener("close", ({ code, reason }) => ends.push([code, reason]));
    }
  };
  read(channel, (event, content) => events.push(content.id));
}
"""


def test_a_page_reads_and_comes_back(service: Endpoints, visit: Callable[..., Visitor]) -> None:
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

    def publish() -> None:
        now_ms = round(SystemClock().now() * 1000)
        invitation = played_anew(load_recording("declined"), now_ms)[0] | {"subject": "of-a-page"}
        backend.expect({202}, "POST", f"{service.network}/events", json=invitation)

    assert EXAMPLE is not None
    page.evaluate(f"() => {{ window.read = {EXAMPLE[1]} }}")
    page.evaluate(NOTING, {"url": service.api.replace("http", "ws", 1), **channel})
    for _ in range(3):
        publish()
    eventually(lambda: page.evaluate("events.length") == 3)
    assert page.evaluate("sockets[0].protocol") == "webrtc-events.channels.v0"
    page.evaluate("sockets[0].close()")
    publish()
    # It comes back by itself, behind what it has.
    eventually(lambda: page.evaluate("events.length") == 4)
    backend.expect({204}, "DELETE", f"{channels}/{channel['id']}")
    eventually(lambda: page.evaluate("ends.length") == 2)
    assert page.evaluate("ends") == [[1005, ""], [4404, "NOT_FOUND: The channel has ended."]]
    received = page.evaluate("events")
    assert len(received) == len(set(received)) == 4
    backend.close()
