"""nginx with the file of `deploy/` in front of streams of events, and of WebSockets."""

from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.harness.event_sockets import SUBPROTOCOL, offers
from tests.production.operations.proxy_stack import Stack
from tests.production.operations.test_proxy import stack

__all__ = ["stack"]

pytestmark = pytest.mark.slow


def test_a_channel_is_read_through_it_as_events_come(stack: Stack) -> None:
    """It holds no event back, and a reader that leaves is forgotten behind it."""
    scopes = " ".join(f"webrtc-events:channels:{what}" for what in ("read", "write"))
    token = stack.api.token(scope=scopes)
    made = stack.api("POST", "/channels/v0/channels", token=token).json()
    path = f"/channels/v0/channels/{made['id']}"
    headers = {"Authorization": f"Bearer {made['token']}"}
    url = f"https://localhost:{stack.proxy.public}{path}/events"
    with requests.get(
        url, headers=headers, stream=True, timeout=20, verify=str(stack.proxy.ca_file)
    ) as stream:
        assert stream.status_code == 200
        lines = stream.iter_lines()
        assert next(lines) == b"retry: 2000"
        # The stream goes on: what comes after is sent when it comes.
        assert stack.api("DELETE", path, token=token).status_code == 204
        assert [line for line in lines if line] == [b"event: end", b"data: {}"]


def opened(stack: Stack, path: str, token: str, port: int) -> Any:
    return connect(
        f"wss://localhost:{port}{path}",
        subprotocols=[Subprotocol(name) for name in offers(token)],
        ssl=stack.proxy.context(),
        proxy=None,
    )


def test_a_websocket_is_opened_through_it_for_a_channel(stack: Stack) -> None:
    scopes = " ".join(f"webrtc-events:channels:{what}" for what in ("read", "write"))
    token = stack.api.token(scope=scopes)
    made = stack.api("POST", "/channels/v0/channels", token=token).json()
    path = f"/channels/v0/channels/{made['id']}"
    with opened(stack, f"{path}/events", made["token"], stack.proxy.public) as socket:
        assert socket.subprotocol == SUBPROTOCOL
        assert socket.ping().wait(20)
        assert stack.api("DELETE", path, token=token).status_code == 204
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert (socket.close_code, socket.close_reason) == (4404, "NOT_FOUND: The channel has ended.")
    # No line of its log has the token.
    assert made["token"] not in stack.proxy.access_log


@pytest.mark.parametrize(
    "path",
    [
        "/channels/v0/channels",
        "/channels/v0/channels/x/cursor",
        "/channels/v0/channels/x/events?a=b",
        "/webrtc-events/v0.2/subscriptions",
    ],
)
def test_no_other_request_changes_its_protocol(stack: Stack, path: str) -> None:
    """The API does not see that it wants to: it answers in HTTP."""
    with pytest.raises(InvalidStatus) as refused:
        opened(stack, path, "x", stack.proxy.public).__enter__()
    assert refused.value.response.status_code in (400, 401, 404, 405)
    with pytest.raises(InvalidStatus) as refused:
        opened(stack, "/channels/v0/channels/x/events", "x", stack.proxy.network).__enter__()
    assert refused.value.response.status_code == 404
