"""A call as the store has it now: all entries of its trace, as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from webrtc_events.core.call_trace import in_order
from webrtc_events.store.call_traces import CallTraces

__all__ = ["TracedCall", "has_news", "read_call"]

# A trace has fewer pages; one that is written meanwhile must not hold a reader for ever.
_MAX_PAGES = 20


@dataclass(frozen=True, slots=True)
class TracedCall:
    """`level`: how much was kept. `cursor`: behind its last entry. `damaged` entries could not be read."""

    session: str
    level: str
    entries: Sequence[dict[str, Any]]
    cursor: str
    damaged: int


def read_call(traces: CallTraces, session: str) -> TracedCall | None:
    """None: it has no trace, or has none any more.

    Raises:
        Unavailable: the store is away.
    """
    summary = traces.summary(session)
    if summary is None:
        return None
    cursor, damaged, entries = "", 0, []
    for _ in range(_MAX_PAGES):
        page = traces.read(session, cursor)
        entries += page.entries
        damaged += page.damaged
        cursor = page.cursor
        if not page.more:
            break
    found = [msgspec.to_builtins(entry) for entry in in_order(entries)]
    return TracedCall(session, summary.level, found, cursor, damaged)


def has_news(traces: CallTraces, session: str, cursor: str) -> bool:
    """Whether something was written behind the cursor.

    Raises:
        Unavailable: the store is away.
    """
    page = traces.read(session, cursor, 1)
    return bool(page.entries) or page.damaged > 0
