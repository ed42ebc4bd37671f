"""A reader that takes nothing, of a stream or over a WebSocket: whom it holds up, and how long it may."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.channels.conftest import Stack
from tests.harness.valkeys import CLOCK
from webrtc_events.api import http_protocol, websocket_protocol

# More than the buffers between server and reader take, of 400 events, and room for all of them.
LONG = "a=" + 30_000 * "x"
ROOM = {"channel_bytes": 64_000_000}
WAYS: dict[str, Callable[..., Any]] = {"stream": Stack.read, "socket": Stack.open}


@pytest.mark.parametrize("way", WAYS)
def test_it_holds_up_no_other_and_misses_nothing(service_with: Callable[..., Stack], way: str) -> None:
    service, read = service_with(**ROOM), WAYS[way]
    channel = service.make()
    service.subscribed(channel)
    slow, quick = read(service, channel, takes=False), read(service, channel)
    numbers = [number for _ in range(20) for number in service.publish(20, sdp=LONG)]
    assert quick.wait_events(400, 60).numbers() == numbers
    slow.start()
    assert slow.wait_events(400, 60).numbers() == numbers


@pytest.mark.parametrize(
    ("way", "close_s", "code"),
    [("stream", 30.0, None), ("socket", 30.0, 4408), ("socket", 0.5, 1006)],
    ids=["stream", "socket that reads on", "socket that never reads"],
)
def test_one_that_takes_nothing_for_long_is_cut_off_and_comes_back(
    service_with: Callable[..., Stack],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    close_s: float,
    code: int | None,
) -> None:
    """Over a WebSocket who begins to read within the time of the close is told why, and has that code."""
    for protocol in (http_protocol, websocket_protocol):
        monkeypatch.setattr(protocol, "_READER_DEADLINE_S", 0.5)
    monkeypatch.setattr(websocket_protocol, "_CLOSE_S", close_s)
    service, read = service_with(**ROOM), WAYS[way]
    channel = service.make()
    service.subscribed(channel)
    slow = read(service, channel, takes=False)
    numbers = [number for _ in range(20) for number in service.publish(20, sdp=LONG)]
    # It takes nothing while another takes all, and for longer than it may.
    read(service, channel).wait_events(400, 60)
    CLOCK.sleep(2)
    slow.start()
    slow.wait_end()
    assert getattr(slow, "code", None) == code
    assert slow.numbers() == numbers[: len(slow.numbers())]
    assert len(slow.numbers()) < 400
    again = read(service, channel, slow.last_id).wait_events(400 - len(slow.numbers()), 60)
    assert slow.numbers() + again.numbers() == numbers
