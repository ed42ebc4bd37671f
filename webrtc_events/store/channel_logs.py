"""The logs of notification channels: one for each channel in each partition that has subscriptions for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call, store_errors
from webrtc_events.store.redis.wakeups import PartitionMessages

__all__ = ["ChannelLogs", "LogEvent", "LogPage", "LogPosition", "LogsGone"]

# What one page of a log has at most: what a reader holds that does not take it.
_PAGE_EVENTS = 100
_PAGE_BYTES = 262_144
# Logs of one partition in one run of the script, which holds up the store's other clients.
_READ_AT_ONCE = 16
# The numbers of a log go on from the next million when the store may have lost the latest (outboxes.lua).
_NUMBERS_AN_EPOCH = 1_000_000


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where to read a log: after the event of that number; None: after what is acknowledged."""

    channel: str
    partition: int
    after: int | None


@dataclass(frozen=True, slots=True)
class LogEvent:
    """`type` is the CloudEvents type, `body` the CloudEvent as JSON in one line."""

    number: int
    type: str
    body: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """The next events of a log, oldest first; `more`: there are others after them.

    `after`: the number after which they follow. `missed`: how many events were removed unread before that, at
    least.
    """

    after: int
    events: tuple[LogEvent, ...]
    missed: int
    more: bool


@dataclass(frozen=True, slots=True)
class LogsGone:
    """There is no such log (any more)."""


class ChannelLogs:
    """Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection, idle_ms: int) -> None:
        """`idle_ms`: how long a channel lives that nobody uses."""
        self._connection = connection
        # Longer than the channel itself, so that it is never without them while it lives.
        self._lifetime_ms = 2 * idle_ms

    def make(self, channel_id: str, partition: Partition) -> None:
        """From now on subscriptions in the partition may be delivered into the channel."""
        self._connection.guard.check()
        self._connection.run(self._keep_call(channel_id, partition, make=True))

    def keep(self, channel_id: str, partitions: Iterable[int]) -> None:
        """The channel is in use, so its logs live on. One that is gone stays so.

        Raises:
            Unavailable: some may not live on.
        """
        calls = [self._keep_call(channel_id, Partition(number), make=False) for number in partitions]
        self._connection.scripts.run(calls)

    def _keep_call(self, channel_id: str, partition: Partition, *, make: bool) -> Call:
        """Source: lua/keep_channel.lua."""
        args: list[str | int] = [channel_id, self._lifetime_ms, int(make)]
        return Call("keep_channel", [partition.channel(channel_id)], partition.tag, args)

    def remove(self, channel_id: str, partitions: Iterable[int]) -> None:
        """Nothing is written to the logs any more: a claim that is under way finds the channel gone."""
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in map(Partition, partitions):
                pipe.delete(partition.channel(channel_id), partition.channel_log(channel_id))
            pipe.execute()

    def tell(self, channel_id: str, partition: Partition) -> None:
        """Has every process look at the channel that serves readers of it."""
        with store_errors():
            self._connection.client.spublish(partition.channel_news, channel_id)

    def news(self) -> PartitionMessages:
        """A listener: which channels have something new in which partition."""
        count = self._connection.partition_count
        topics = {Partition(number).channel_news: number for number in range(count)}
        return PartitionMessages(self._connection.client.nodes, topics)

    def acknowledge(self, channel_id: str, cursor: Mapping[int, int]) -> None:
        """What was read is removed. Of a log that is not there nothing is."""
        self._connection.scripts.run(self._acknowledge_calls(channel_id, cursor))

    def acknowledge_some(
        self, acknowledgements: Sequence[tuple[str, Mapping[int, int]]]
    ) -> "list[Unavailable | None]":
        """The same for several channels in one round trip; Unavailable: not all of it is removed."""
        calls = [self._acknowledge_calls(*acknowledgement) for acknowledgement in acknowledgements]
        answers = iter(self._connection.scripts.run_some(list(chain.from_iterable(calls))))
        outcomes = [[next(answers) for _ in own] for own in calls]
        return [next((one for one in own if isinstance(one, Unavailable)), None) for own in outcomes]

    def _acknowledge_calls(self, channel_id: str, cursor: Mapping[int, int]) -> list[Call]:
        """Source: lua/acknowledge_channel.lua."""
        calls = []
        for number, last in cursor.items():
            if number < self._connection.partition_count:
                partition = Partition(number)
                keys = [partition.channel(channel_id), partition.channel_log(channel_id)]
                calls.append(Call("acknowledge_channel", keys, partition.tag, [last]))
        return calls

    def read(self, positions: Sequence[LogPosition]) -> "list[LogPage | LogsGone | Unavailable]":
        """A page from each position, in one round trip. One that cannot be read has nothing new."""
        runs = list(_runs(positions))
        answers = self._connection.scripts.run_some([_read_call(run) for run in runs])
        found: dict[LogPosition, LogPage | LogsGone | Unavailable] = {}
        for run, answer in zip(runs, answers, strict=True):
            for position, log in zip(run, _each_log(run, answer), strict=True):
                found[position] = self._read(position, log)
        return [found[position] for position in positions]

    def _read(self, position: LogPosition, answer: Any) -> "LogPage | LogsGone | Unavailable":
        if isinstance(answer, Unavailable):
            return answer
        if answer == "gone":
            return LogsGone()
        if len(answer) == 1:
            self._connection.damage.report(Partition(position.partition).channel(position.channel), answer[0])
            return LogPage(position.after or 0, (), 0, more=False)
        return _page(answer)


def _each_log(run: Sequence[LogPosition], answer: Any) -> Sequence[Any]:
    return [answer] * len(run) if isinstance(answer, Unavailable) else answer


def _runs(positions: Iterable[LogPosition]) -> Iterable[list[LogPosition]]:
    """Which are read by one run of the script: those of one partition, a bounded number of them."""
    by_partition: dict[int, list[LogPosition]] = {}
    for position in dict.fromkeys(positions):
        by_partition.setdefault(position.partition, []).append(position)
    for own in by_partition.values():
        for first in range(0, len(own), _READ_AT_ONCE):
            yield own[first : first + _READ_AT_ONCE]


def _read_call(run: Sequence[LogPosition]) -> Call:
    """Source: lua/read_channel.lua."""
    partition = Partition(run[0].partition)
    keys: list[str] = []
    for position in run:
        keys += [partition.channel(position.channel), partition.channel_log(position.channel)]
    after = ["" if position.after is None else position.after for position in run]
    return Call("read_channel", keys, partition.tag, [_PAGE_EVENTS, _PAGE_BYTES, *after])


def _page(answer: Sequence[Any]) -> LogPage:
    gone, latest, after = (int(number) for number in answer[:3])
    flat = answer[3]
    events = tuple(
        LogEvent(int(number), type_, body)
        for number, type_, body in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    )
    more = bool(events) and events[-1].number < latest
    return LogPage(max(after, gone), events, _missed(after, gone), more=more)


def _missed(after: int, gone: int) -> int:
    """Of the numbers that are gone, those behind `after`. Between two epochs of the store there are none."""
    if gone <= after:
        return 0
    same_epoch = gone // _NUMBERS_AN_EPOCH == after // _NUMBERS_AN_EPOCH
    return gone - after if same_epoch else max(1, gone % _NUMBERS_AN_EPOCH)
