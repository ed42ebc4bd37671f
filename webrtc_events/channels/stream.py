"""The answer that never ends: what is in a channel, as Server-Sent Events, at the pace of its reader.

What a reader is sent is read from the store when it has taken what came before, so a slow one holds a page
at most. One that takes nothing is given up by the server (http_protocol.py), and comes back with the id of
its last event.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from webrtc_events.channels.event_stream import END, HEARTBEAT, OPENING, PageText
from webrtc_events.channels.reader import Reader
from webrtc_events.channels.readers import Readers
from webrtc_events.core.cursor import parse_cursor
from webrtc_events.core.errors import DamagedRecord, InvalidArgument, ServiceError, Unavailable
from webrtc_events.store.channel_logs import LogPage, LogPosition, LogsGone
from webrtc_events.store.channel_records import Channel

__all__ = ["ChannelStream"]

_HEARTBEAT_S = 15.0
# What the store did not answer is asked again after this.
_REPEAT_S = 1.0
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
            TooManyRequests: there are too many readers.
        """
        cursor = _last_event_id(Headers(scope=scope))
        reader = self._readers.enter(self._channel)
        leaving = asyncio.ensure_future(_disconnected(receive))
        leaving.add_done_callback(lambda _: reader.leave())
        try:
            reader.begin_after(cursor)
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await _write(send, OPENING)
            await self._events(reader, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            self._readers.leave(reader)

    async def _events(self, reader: Reader, send: Send) -> None:
        while not reader.has_left:
            if not await reader.news(_HEARTBEAT_S):
                await _write(send, HEARTBEAT)
            elif reader.to_read and not reader.is_over:
                await self._pages(reader, send)
            elif reader.is_over:
                await _write(send, END)
                return

    async def _pages(self, reader: Reader, send: Send) -> None:
        """Reads once, and writes what came."""
        positions = reader.positions()
        for position, page in zip(positions, await self._readers.read(positions), strict=True):
            match page:
                case LogPage():
                    text = PageText(position.partition, page, reader.cursor)
                    reader.cursor = text.cursor
                    if page.more:
                        reader.tell([position.partition])
                    if text.text:
                        await _write(send, text.text)
                case LogsGone():
                    await self._look(reader, position)
                case Unavailable():
                    _again(reader, position)

    async def _look(self, reader: Reader, position: LogPosition) -> None:
        """There is no log: does the channel have an end, or only none there?"""
        try:
            found = await self._readers.look(reader.channel)
        except (DamagedRecord, Unavailable):
            # Damage is reported where channels are looked at in turn.
            _again(reader, position)
            return
        if found is None:
            reader.see(None)
        else:
            reader.channel = found
            reader.cursor.pop(position.partition, None)


def _again(reader: Reader, position: LogPosition) -> None:
    asyncio.get_running_loop().call_later(_REPEAT_S, reader.tell, [position.partition])


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
