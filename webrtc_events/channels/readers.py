"""The readers of a process: which of them have something new, and what it is.

One thread listens to the store for all of them, and one reads for all: what they want meanwhile is read
together. All else is on the event loop of the server.
"""

import asyncio
import heapq
import logging
import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from webrtc_events.channels.reader import Reader
from webrtc_events.channels.reader_places import ReaderPlaces
from webrtc_events.channels.round_trips import RoundTrips
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import DamagedRecord, TooManyRequests, Unavailable
from webrtc_events.core.loops import Loop
from webrtc_events.store.channel_logs import LogPage, LogPosition, LogsGone
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.store import Store

__all__ = ["Found", "Readers"]

log = logging.getLogger(__name__)

Found = LogPage | LogsGone | Unavailable

_LISTEN_S = 0.5
_STOP_S = 5.0
# Logs in one round trip: a page of each comes into memory at once. The rest is read next.
_READ_TOGETHER = 256
_ACKNOWLEDGED_TOGETHER = 256
# Of one channel, in one process.
_READERS_A_CHANNEL = 16
# How often a channel is marked as used, while it has readers, in a lifetime without that; and at least.
_RENEWALS, _MAX_RENEWAL_S = 4, 900.0
_FIRST_LOOK_S, _PAUSE_S = 1.0, 0.05
# A look that met an outage is made again.
_LOOK_AGAIN_S = 1.0


class Readers:
    """`start` and `stop` on the event loop; `max_readers` at once."""

    def __init__(self, store: Store, clock: Clock, max_readers: int) -> None:
        self._store = store
        self._clock = clock
        self._places = ReaderPlaces(max_readers)
        self._by_channel: dict[str, set[Reader]] = {}
        self._renewal_s = min(store.channels.idle_ms / 1000 / _RENEWALS, _MAX_RENEWAL_S)
        # When a channel with readers is looked at next. What is in the heap and not here means nothing.
        self._looks_at: dict[str, float] = {}
        self._looks: list[tuple[float, str]] = []
        self._store_is_away = False
        self._news = store.channel_logs.news()
        self._told: deque[tuple[int, str]] = deque()
        self._is_called = False
        self._listener = Loop("channel news", self._listen, clock)
        self._threads = ThreadPoolExecutor(1, "channel-logs")
        self._reads = RoundTrips(store.channel_logs.read, self._threads, _READ_TOGETHER)
        # Apart from it: who reads waits for none who acknowledge.
        self._acknowledging = ThreadPoolExecutor(1, "channel-acknowledgements")
        self._acknowledgements = RoundTrips(
            store.channel_logs.acknowledge_some, self._acknowledging, _ACKNOWLEDGED_TOGETHER
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._renewing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._renewing = self._loop.create_task(self._renew())
        self._listener.start()

    async def stop(self) -> None:
        """Its readers have left by now."""
        self._listener.ask_to_stop()
        self._news.interrupt()
        if self._renewing is not None:
            self._renewing.cancel()
        await asyncio.to_thread(self._listener.join, _STOP_S)
        for threads in (self._threads, self._acknowledging):
            threads.shutdown(wait=False, cancel_futures=True)
        self._news.close()

    @property
    def count(self) -> int:
        """How many there are; any thread may ask."""
        return self._places.taken

    def enter(self, channel: Channel) -> Reader:
        """A new reader of the channel, which has to `leave`.

        Raises:
            TooManyRequests: the client, or the channel, has as many as it may.
            Unavailable: the process has.
        """
        readers = self._by_channel.get(channel.id, set())
        if len(readers) >= _READERS_A_CHANNEL:
            raise TooManyRequests(
                "The channel has too many readers; try again later.", headers={"Retry-After": "10"}
            )
        self._places.take(channel.client)
        reader = Reader(channel)
        if not readers:
            self._by_channel[channel.id] = readers
        readers.add(reader)
        # What has changed since it was admitted, nobody has told it.
        self._look_at(channel.id, min(_FIRST_LOOK_S, self._renewal_s))
        return reader

    def leave(self, reader: Reader) -> None:
        readers = self._by_channel[reader.channel.id]
        readers.remove(reader)
        self._places.give(reader.channel.client)
        if not readers:
            del self._by_channel[reader.channel.id]
            self._looks_at.pop(reader.channel.id, None)

    async def read(self, positions: Sequence[LogPosition]) -> list[Found]:
        """A page from each position: what others want meanwhile comes in the same round trip."""
        return await self._reads.answers(positions)

    async def acknowledge(self, channel: Channel, cursor: Mapping[int, int]) -> None:
        """What is read up to the cursor is removed, with what others acknowledge meanwhile.

        Raises:
            Unavailable: some may not be.
        """
        (error,) = await self._acknowledgements.answers([(channel.id, cursor)])
        if error is not None:
            raise error

    async def look(self, channel: Channel) -> Channel | None:
        """The channel as it is now, which is used by that; None: it is gone, or its owner has deleted it.

        Raises:
            Unavailable: the store does not answer.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._used, channel)

    def _now_s(self) -> float:
        return self._clock.monotonic()

    def _used(self, channel: Channel) -> Channel | None:
        found = self._store.channels.use(channel)
        if found is not None:
            # Before anybody relies on the record's new lifetime.
            self._store.channel_logs.keep(found.id, found.partitions)
        return found

    async def _renew(self) -> None:
        """Channels with readers live on. A look at all of their logs, too: a hint may have been lost."""
        while True:
            next_s = self._looks[0][0] - self._now_s() if self._looks else _FIRST_LOOK_S
            await asyncio.sleep(max(_PAUSE_S, min(next_s, _FIRST_LOOK_S)))
            try:
                await self._renew_due()
                self._store_is_away = False
            except Unavailable:
                if not self._store_is_away:
                    log.warning(
                        "channels are not renewed: the store does not answer; tried again each second"
                    )
                self._store_is_away = True
            except Exception:
                # The readers go on without; their channels live for a while.
                log.exception("channels are not renewed")

    async def _renew_due(self) -> None:
        now_s = self._now_s()
        while self._looks and self._looks[0][0] <= now_s:
            moment_s, channel_id = heapq.heappop(self._looks)
            readers = self._by_channel.get(channel_id)
            if not readers or self._looks_at.get(channel_id) != moment_s:
                continue
            self._look_at(channel_id, self._renewal_s)
            try:
                found = await self.look(next(iter(readers)).channel)
            except DamagedRecord as error:
                self._store.damage.report(error.name, error.why)
                continue
            except Unavailable:
                # Soon after the store is back it is known what was missed, and whether the channel lives on.
                self._look_at(channel_id, min(_LOOK_AGAIN_S, self._renewal_s))
                raise
            for reader in tuple(readers):
                reader.see(found)

    def _look_at(self, channel_id: str, in_s: float) -> None:
        moment_s = self._now_s() + in_s
        if moment_s < self._looks_at.get(channel_id, math.inf) or self._looks_at[channel_id] <= self._now_s():
            self._looks_at[channel_id] = moment_s
            heapq.heappush(self._looks, (moment_s, channel_id))

    def _listen(self) -> None:
        """In a thread: all that has come is handed to the event loop with one call of it."""
        message = self._news.next(_LISTEN_S)
        missed = self._news.missed()
        if message is not None:
            self._told.append(message)
        self._told.extend((number, "") for number in missed)
        if self._told and not self._is_called and self._loop is not None:
            self._is_called = True
            # The loop may be closed by now.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_called = False
        told: dict[str, set[int]] = defaultdict(set)
        while self._told:
            number, channel_id = self._told.popleft()
            told[channel_id].add(number)
        # Of these partitions whatever was said may be lost.
        missed = told.pop("", set())
        for channel_id, numbers in told.items():
            for reader in self._by_channel.get(channel_id, ()):
                reader.tell(numbers)
        if missed:
            for readers in self._by_channel.values():
                for reader in readers:
                    reader.tell(missed.intersection(reader.channel.partitions))
