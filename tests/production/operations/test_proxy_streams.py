"""nginx with the file of `deploy/` in front of streams of events."""

import pytest
import requests

from tests.production.operations.test_proxy import Stack, stack

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
