"""How many network events one run of a script is given, so that it is short for the store."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

from webrtc_events.core.model import NetworkEvent

__all__ = ["MAX_EVENTS", "first_of", "runs_of"]

_Item = TypeVar("_Item")

MAX_EVENTS = 50
"""What a run gets to where events match few subscriptions. Where they match many it stops earlier."""

# Of their payloads: the store has a run in memory before it knows whether there is room for what it says.
_MAX_BYTES = 1_048_576


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
