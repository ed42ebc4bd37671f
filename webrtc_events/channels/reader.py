"""One reader of a channel: how far it has read, and what may be new to it. On the event loop."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from webrtc_events.store.channel_logs import LogPosition
from webrtc_events.store.channel_records import Channel

__all__ = ["Reader"]

# Of each a page may come, which the reader holds until its client takes it.
_READ_AT_ONCE = 4


class Reader:
    """`cursor`: the number of the last event that it has, by partition.

    `channel` as it was when it was last looked at. `to_read`: partitions in which there may be something new,
    those that were told first come first.
    """

    __slots__ = ("_news", "channel", "cursor", "has_left", "is_over", "to_read")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.cursor: dict[int, int] = {}
        self.to_read = dict.fromkeys(channel.partitions)
        self.is_over = self.has_left = False
        self._news = asyncio.Event()

    def begin_after(self, cursor: Mapping[int, int]) -> None:
        """It has these already. What a cursor says of other partitions means nothing."""
        self.cursor = {number: cursor[number] for number in self.channel.partitions if number in cursor}

    def tell(self, partitions: Iterable[int]) -> None:
        """There may be something new in these."""
        self.to_read.update(dict.fromkeys(partitions))
        if self.to_read:
            self._news.set()

    def see(self, channel: Channel | None) -> None:
        """The channel as it is now; None: it is over."""
        if channel is None:
            self.is_over = True
            self._news.set()
        else:
            self.channel = channel
            self.tell(channel.partitions)

    def leave(self) -> None:
        """Its client has gone, or has to."""
        self.has_left = True
        self._news.set()

    async def news(self, timeout_s: float | None) -> bool:
        """Whether there was something, within the time; None: it takes as long as it takes."""
        if not (self.to_read or self.is_over or self.has_left):
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
        return bool(self.to_read or self.is_over or self.has_left)

    def positions(self) -> list[LogPosition]:
        """What to read now: some of what is to be read."""
        numbers = list(self.to_read)[:_READ_AT_ONCE]
        for number in numbers:
            del self.to_read[number]
        return [LogPosition(self.channel.id, number, self.cursor.get(number)) for number in numbers]
