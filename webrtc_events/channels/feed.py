"""What one reader is to get next, at its pace: the core that all outputs of channels share.

What a reader gets is read from the store when it has taken what came before, so a slow one holds a few
pages at most. Whoever comes back with the id of its last event goes on behind it.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webrtc_events.channels.reader import Reader
from webrtc_events.channels.readers import Found, Readers
from webrtc_events.core.cursor import format_cursor
from webrtc_events.core.errors import DamagedRecord, Unavailable
from webrtc_events.store.channel_logs import LogPage, LogPosition, LogsGone
from webrtc_events.store.channel_records import Channel

__all__ = ["ChannelEvent", "Feed"]

# What the store did not answer is asked again after this.
_REPEAT_S = 1.0


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """`id`: the cursor up to and with it. `type`: of the CloudEvent, or `gap`. `data`: JSON, on one line."""

    id: str
    type: str
    data: str


class Feed:
    """From its making to `close` the reader has a place. For use on the event loop of the readers."""

    def __init__(self, readers: Readers, channel: Channel, cursor: Mapping[int, int]) -> None:
        """
        Raises:
            TooManyRequests: the client, or the channel, has as many readers as it may.
            Unavailable: the process has.
        """
        self._readers = readers
        self._reader: Reader = readers.enter(channel)
        self._reader.begin_after(cursor)
        self._pages: deque[tuple[LogPosition, Found]] = deque()

    @property
    def channel(self) -> Channel:
        """As it was when it was last looked at."""
        return self._reader.channel

    @property
    def is_over(self) -> bool:
        """Whether the channel has ended: there is nothing to come back for."""
        return self._reader.is_over

    def leave(self) -> None:
        """Its client has gone, or has to: `next` returns None from now on."""
        self._reader.leave()

    def close(self) -> None:
        self._readers.leave(self._reader)

    async def next(self, heartbeat_s: float | None = None) -> Sequence[ChannelEvent] | None:
        """The next events; none if nothing came for `heartbeat_s`; None: channel or reader are over."""
        reader = self._reader
        while not reader.has_left:
            if self._pages:
                events = await self._events(*self._pages.popleft())
                if events:
                    return events
            elif not await reader.news(heartbeat_s):
                return ()
            elif reader.is_over:
                return None
            else:
                positions = reader.positions()
                self._pages.extend(zip(positions, await self._readers.read(positions), strict=True))
        return None

    async def _events(self, position: LogPosition, found: Found) -> Sequence[ChannelEvent]:
        match found:
            case LogPage():
                return self._events_of(position.partition, found)
            case LogsGone():
                await self._look(position)
            case Unavailable():
                self._read_again(position)
        return ()

    def _events_of(self, partition: int, page: LogPage) -> list[ChannelEvent]:
        cursor = {**self._reader.cursor, partition: page.after}
        events = []
        if page.missed:
            events.append(ChannelEvent(format_cursor(cursor), "gap", f'{{"missed":{page.missed}}}'))
        for event in page.events:
            cursor[partition] = event.number
            events.append(ChannelEvent(format_cursor(cursor), event.type, event.body))
        self._reader.cursor = cursor
        if page.more:
            self._reader.tell([partition])
        return events

    async def _look(self, position: LogPosition) -> None:
        """There is no log: does the channel have an end, or only none there?"""
        try:
            found = await self._readers.look(self._reader.channel)
        except (DamagedRecord, Unavailable):
            # Damage is reported where channels are looked at in turn.
            self._read_again(position)
            return
        if found is None:
            self._reader.see(None)
        else:
            self._reader.channel = found
            self._reader.cursor.pop(position.partition, None)

    def _read_again(self, position: LogPosition) -> None:
        asyncio.get_running_loop().call_later(_REPEAT_S, self._reader.tell, [position.partition])
