"""Appends network events to the outboxes of their partitions, in steps that are short for the store."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from webrtc_events.core.model import EventType, NetworkEvent
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call, Scripts

__all__ = ["AppendResult", "append_events"]

# What a call gets to where events match few subscriptions. Where they match many it stops earlier.
_EVENTS_PER_CALL = 50
# Of their payloads: the store has a call in memory before it knows whether there is room for what it says.
_BYTES_PER_CALL = 1_048_576


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What a partition did with one event."""

    new: bool
    subscriptions: int


def append_events(
    scripts: Scripts,
    settings: Settings,
    batches: Mapping[int, Sequence[NetworkEvent]],
    tell_damaged: Callable[[Iterable[Sequence[str]]], None],
    *,
    shared_from: int = 0,
) -> dict[int, list[AppendResult]]:
    """Appends each partition's events, in order; returns when all outboxes hold them.

    How far an event has come is kept in the store, so whoever gives it again goes on from there.
    A payload is kept once for all its outboxes if that saves `shared_from` bytes; 0: never.
    `tell_damaged` gets name and why of each record that is damaged, and so was passed over.

    Raises:
        Unavailable: some outbox may lack some event.
    """
    results: dict[int, list[AppendResult]] = {number: [] for number in batches}
    sizes = dict.fromkeys(batches, _EVENTS_PER_CALL)
    while left := {
        number: events[len(results[number]) :]
        for number, events in batches.items()
        if len(events) > len(results[number])
    }:
        # One call of each partition at a time: if it is refused, none that follows may overtake it.
        calls = [
            _call(settings, Partition(number), shared_from, _first(events, sizes[number]))
            for number, events in left.items()
        ]
        answers = scripts.run(calls, replicas=settings.ack_replicas)
        for number, flat in zip(left, answers, strict=True):
            if len(flat) % 2:
                tell_damaged(flat.pop())
            pairs = zip(flat[::2], flat[1::2], strict=True)
            done = [AppendResult(bool(new), int(count)) for new, count in pairs]
            results[number] += done
            # What a call does not get to need not be sent with it.
            sizes[number] = min(_EVENTS_PER_CALL, 2 * len(done) + 1)
    return results


def _first(events: Sequence[NetworkEvent], count: int) -> Sequence[NetworkEvent]:
    """Up to so many, and no more than fit into a call, but one."""
    sizes = accumulate(len(event.payload) for event in events[:count])
    return events[: max(1, sum(size <= _BYTES_PER_CALL for size in sizes))]


def _call(settings: Settings, partition: Partition, shared_from: int, events: Sequence[NetworkEvent]) -> Call:
    args: list[str | int] = [shared_from]
    for event in events:
        is_status = event.type is EventType.SESSION_STATUS
        args += [
            event.name,
            event.type.rpartition(".")[2],
            event.registration or "",
            event.session or "",
            settings.deadline_ms(event.type),
            event.payload,
            int(event.session is not None and not event.numbered),
            json.dumps(event.involved) if is_status and event.involved else "",
            int(event.last) if is_status else "",
            event.time_ms,
        ]
    return Call("append", [partition.due], partition.tag, args)
