"""The answer that never ends: what is in a channel, as Server-Sent Events.

A reader that takes nothing is given up by the server (http_protocol.py), and comes back with the id of its
last event.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from webrtc_events.channels.event_stream import END, HEARTBEAT, OPENING, text_of
from webrtc_events.channels.feed import Feed
from webrtc_events.channels.readers import Readers
from webrtc_events.core.cursor import parse_cursor
from webrtc_events.core.errors import InvalidArgument, ServiceError
from webrtc_events.store.channel_records import Channel

__all__ = ["ChannelStream"]

_HEARTBEAT_S = 15.0
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Or nginx would hold events back.
    (b"x-accel-buffering", b"no"),
)


class ChannelStream:
    """An ASGI application for one request of a reader that was admitted to the channel."""

    def __init__(self, readers: Readers, channel: Channel) -> None:
        self._readers = readers
        self._channel = channel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Raises:
            InvalidArgument: Last-Event-ID is no id of an event.
            TooManyRequests, Unavailable: see `Feed`.
        """
        feed = Feed(self._readers, self._channel, _last_event_id(Headers(scope=scope)))
        leaving = asyncio.ensure_future(_disconnected(receive))
        leaving.add_done_callback(lambda _: feed.leave())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await _write(send, OPENING)
            while (events := await feed.next(_HEARTBEAT_S)) is not None:
                await _write(send, text_of(events) if events else HEARTBEAT)
            if feed.is_over:
                await _write(send, END)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            feed.close()


async def _write(send: Send, text: bytes) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    """Returns once the client has gone, or sends what it should not."""
    with suppress(ServiceError):
        while (await receive())["type"] != "http.disconnect":
            pass


def _last_event_id(headers: Headers) -> Mapping[int, int]:
    """None of those that are: an empty one is what browsers send that have had no event with an id."""
    text = headers.get("last-event-id", "")
    if not text:
        return {}
    try:
        return parse_cursor(text)
    except ValueError as error:
        raise InvalidArgument(f"Last-Event-ID: {error}") from None
