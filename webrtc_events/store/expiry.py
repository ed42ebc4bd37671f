"""What time does: it ends subscriptions and registrations, and removes what is over."""

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.connection import Connection
from webrtc_events.store.device_ends import DeviceEnds
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.keys import Partition, end_note
from webrtc_events.store.rebuild import Rebuild
from webrtc_events.store.redis.exchange import Command
from webrtc_events.store.redis.presence import which_exist
from webrtc_events.store.redis.scripts import answers_of, store_errors
from webrtc_events.store.subscription_reads import read_subscriptions
from webrtc_events.store.sweep_runs import sweep_each
from webrtc_events.store.sweep_schedule import Look
from webrtc_events.store.time_log import TimeLog

__all__ = ["Expiry", "Sweep"]

log = logging.getLogger(__name__)

# While many end, a round ends some tens in each partition.
_MAX_ROUNDS_WITHOUT_NOTES = 50


@dataclass(frozen=True, slots=True)
class _Swept:
    """What sweep.lua did in one partition, and what it leaves to be done from outside.

    `removable` has id and client of each subscription that is to be removed. `pending` are the ids of those
    whose initial event is pending. `skipped` were written by a newer release. `broken_indexes` are to be
    made anew. `ahead_ms`: how far the partition's time is ahead of the store's clock, which went back.
    `end_notes` are of those that are over and still count in their client's index. `time_ms`: the
    partition's time. `given_up`: by the store. `device_ends`: name and note of each registration that ended
    and whose device is still to hear of it. `left`: how many moments have come that it has not attended to.
    """

    touched: int
    removable: Sequence[tuple[str, str]]
    pending: Sequence[str]
    skipped: int
    damaged: Sequence[Sequence[str]]
    broken_indexes: Sequence[str]
    ahead_ms: int
    end_notes: Sequence[str]
    time_ms: int
    given_up: Sequence[Sequence[str]]
    device_ends: Sequence[tuple[str, str]]
    left: int

    @classmethod
    def parse(cls, raw: Sequence[Any]) -> "_Swept":
        named: dict[str, Any] = dict(zip(cls.__slots__, raw, strict=True))
        return cls(**named | {name: _pairs(named[name]) for name in ("removable", "device_ends")})


def _pairs(flat: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


@dataclass(frozen=True, slots=True)
class Sweep:
    """How much was done, so that a caller knows to come again at once.

    `ahead_ms`: how far the time of each partition that was reached is ahead of the monotonic clock, ms, by
    the moment of its answer: a sweep of all may take seconds.
    """

    count: int
    ahead_ms: Mapping[int, float]


class Expiry:
    """For one thread at a time."""

    def __init__(
        self,
        connection: Connection,
        rebuild: Rebuild,
        client_index: ClientIndex,
        initial_events: InitialEvents,
        device_ends: DeviceEnds,
    ) -> None:
        self._connection = connection
        self._rebuild = rebuild
        self._client_index = client_index
        self._initial_events = initial_events
        self._device_ends = device_ends
        self._time_log = TimeLog()
        self._unreached: Set[int] = frozenset()
        # By how much the time of each partition was ahead of the store's clock, ms.
        self._ahead_ms: dict[int, int] = {}
        self._rounds_without_notes = 0
        # Of each partition. They are asked for each second, and stay the same.
        self._kept = [partition.kept_for_sweeper for partition in connection.partitions]
        self._read_next_ends: list[Command] = [
            (("ZRANGE", partition.ends, 0, 0, "WITHSCORES"), {"withscores": True})
            for partition in connection.partitions
        ]

    def sweep(self, limit: int = 100) -> int:
        """Does what time does, in every partition that can be reached. Returns how much it did.

        Raises:
            Unavailable: see `sweep_some`.
        """
        return self.sweep_some(range(self._connection.partition_count), limit, SystemClock()).count

    def look(self) -> dict[int, Look]:
        """What each partition that can be looked at has to be done; see sweep.lua, which does it."""
        kept, next_ends = which_exist(self._connection.client, self._kept, self._read_next_ends)
        return {
            number: Look(first[0][1] if first else None, has_more)
            for number, (first, has_more) in enumerate(zip(next_ends, kept, strict=True))
            if not isinstance(first, Exception) and not isinstance(has_more, Exception)
        }

    def sweep_some(self, numbers: Sequence[int], limit: int, clock: Clock) -> Sweep:
        """Does what time does in these partitions, where they can be reached: see sweep.lua.

        Raises:
            Unavailable: no partition of all can be reached.
        """
        partitions = [Partition(number) for number in numbers]
        found: list[tuple[Partition, _Swept, float]] = []
        failures: dict[int, Unavailable] = {}
        for partition, raw, at_s in sweep_each(self._connection.scripts, partitions, limit, clock.monotonic):
            if isinstance(raw, Unavailable):
                failures[partition.number] = raw
                continue
            found.append((partition, _Swept.parse(raw), at_s))
            # At once, whatever comes next: no other answer will say so.
            self._connection.given_up.report(found[-1][1].given_up)
        self._report_unreached(numbers, failures)
        total = left = 0
        pending: list[str] = []
        end_notes: dict[int, Sequence[str]] = {}
        device_ends: dict[int, Sequence[tuple[str, str]]] = {}
        ahead_ms: dict[int, float] = {}
        for partition, swept, at_s in found:
            total += self._follow(partition, swept)
            self._ahead_ms[partition.number] = swept.ahead_ms
            ahead_ms[partition.number] = swept.time_ms - at_s * 1000
            left += swept.left
            pending += swept.pending
            end_notes[partition.number] = swept.end_notes
            device_ends[partition.number] = swept.device_ends
        self._time_log.report(max(self._ahead_ms.values(), default=0))
        # After all removals, which a full store needs most.
        for subscription in read_subscriptions(self._connection, pending):
            _is_done(self._initial_events.complete, subscription)
        settled = self._settle_notes(end_notes, left) + self._device_ends.settle(device_ends)
        # Where there may be more, it is worth coming again at once.
        is_cut = any(len(notes) == limit for notes in (*end_notes.values(), *device_ends.values()))
        return Sweep(total + (settled if is_cut else 0), ahead_ms)

    def _follow(self, partition: Partition, swept: _Swept) -> int:
        """Does in one partition what must be done from outside; returns how much was done in all."""
        self._connection.report_damaged(swept.damaged)
        for index in swept.broken_indexes:
            _is_done(self._rebuild.run, partition, index)
        self._connection.skipped.report(swept.skipped)
        removed = sum(
            _is_done(self._remove, partition, subscription_id, client)
            for subscription_id, client in swept.removable
        )
        return swept.touched - len(swept.removable) + removed

    def _remove(self, partition: Partition, subscription_id: str, client: str) -> None:
        """Leaves the zset entry for last: whatever fails before is done again by the next sweep."""
        self._client_index.remove(client, subscription_id)
        with store_errors():
            pipe = self._connection.client.pipeline()
            pipe.zrem(partition.ended, end_note(client, subscription_id))
            pipe.delete(partition.subscription(subscription_id))
            pipe.zrem(partition.ends, subscription_id)
            answers_of(pipe)

    def _settle_notes(self, end_notes: Mapping[int, Sequence[str]], left: int) -> int:
        """Ends go first: who finds no room in an index meanwhile settles the notes of its client itself."""
        if left and self._rounds_without_notes < _MAX_ROUNDS_WITHOUT_NOTES:
            self._rounds_without_notes += 1
            return 0
        self._rounds_without_notes = 0
        try:
            return self._client_index.settle_notes(end_notes)
        except Unavailable:
            # What has been done stays so; the next sweep finds the rest.
            return 0

    def _report_unreached(self, numbers: Sequence[int], failures: Mapping[int, Unavailable]) -> None:
        """Logs which partitions can be reached no longer, or again.

        Raises:
            Unavailable: none can be.
        """
        unreached = (self._unreached - set(numbers)) | failures.keys()
        if failures and len(unreached) == self._connection.partition_count:
            raise next(iter(failures.values()))
        if unreached == self._unreached:
            return
        self._unreached = unreached
        if failures:
            named = ", ".join(map(str, sorted(unreached)))
            reason = next(iter(failures.values())).__cause__
            log.warning(
                "the store does not serve partitions %s: %s: %s", named, type(reason).__name__, reason
            )
        elif not unreached:
            log.info("the store serves every partition again")


def _is_done(act: Callable[..., None], *args: Any) -> bool:
    """Whether it was done. What it needs may be on a node that is out: a later sweep does it."""
    try:
        act(*args)
    except Unavailable:
        return False
    return True
