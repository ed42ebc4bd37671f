"""How many network events one run of a script is given, so that it is short for the store."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, islice
from typing import TypeVar

from webrtc_events.core.model import NetworkEvent

__all__ = ["MAX_EVENTS", "first_of", "in_one_run", "runs_of"]

_Item = TypeVar("_Item")

MAX_EVENTS = 50
"""What a run gets to where events match few subscriptions. Where they match many it stops earlier."""

# Of their payloads: the store has a run in memory before it knows whether there is room for what it says.
_MAX_BYTES = 1_048_576
# How many are looked at for those that one run takes.
_MAX_LOOKED_AT = 4 * MAX_EVENTS


def first_of(events: Sequence[NetworkEvent], count: int) -> Sequence[NetworkEvent]:
    """Up to `count` of them, and no more than one run is given; at least one."""
    sizes = accumulate(len(event.payload) for event in events[:count])
    return events[: max(1, sum(size <= _MAX_BYTES for size in sizes))]


def runs_of(
    items: Iterable[_Item], events_of: Callable[[_Item], Sequence[NetworkEvent]]
) -> list[list[_Item]]:
    """The items of each run, in order: as many as fit, and at least one."""
    runs: list[list[_Item]] = []
    count = size = 0
    for item in items:
        events = events_of(item)
        item_size = sum(len(event.payload) for event in events)
        if runs and count + len(events) <= MAX_EVENTS and size + item_size <= _MAX_BYTES:
            runs[-1].append(item)
        else:
            runs.append([item])
            count = size = 0
        count += len(events)
        size += item_size
    return runs


def in_one_run(events: Iterable[NetworkEvent], partition_of: Callable[[NetworkEvent], int]) -> list[bool]:
    """Of the first of these, whether each goes into one run that records sessions: at least one does.

    A run takes the events of a session from one partition, so that its states are recorded in their order.
    Who has to wait for that waits for the next run, with all that came for the session since.
    """
    taken: list[bool] = []
    partitions: dict[str, int] = {}
    waits: set[str] = set()
    count = size = 0
    for event in islice(events, _MAX_LOOKED_AT):
        size += len(event.payload)
        if count and (count == MAX_EVENTS or size > _MAX_BYTES):
            break
        session = event.session
        if session is not None and session not in waits:
            partition = partition_of(event)
            if partitions.setdefault(session, partition) != partition:
                waits.add(session)
        taken.append(session not in waits)
        count += taken[-1]
    return taken
