"""A console over a store that has traces of calls."""

from collections.abc import Iterable
from typing import Any

import msgspec
from flask import Flask

from webrtc_events.console.access import Access, MachineAccess
from webrtc_events.console.calls import pages
from webrtc_events.console.console_app import ConsoleOptions, console_app
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.section import Section
from webrtc_events.core.call_trace import TraceEntry, TraceLevel
from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store
from webrtc_events.store.trace_writes import Noted, TraceLimits, TraceWrites

__all__ = ["console", "keep"]


def keep(store: Store, entries: Iterable[dict[str, Any]], level: TraceLevel = TraceLevel.FULL) -> str:
    """Writes the entries of one session, in this order, as if they had just happened. The session."""
    values = [msgspec.convert(entry, TraceEntry) for entry in entries]
    session = values[0].session
    writes = TraceWrites(store.connection, TraceLimits(1_000, 86_400_000), level)
    batches = list(writes.batches(session, [Noted(value) for value in values]))
    assert all(writes.write(batches))
    writes.index({session: round(SystemClock().now() * 1000)})
    return session


def console(store: Store, settings: Settings, clock: Clock, access: Access | None = None) -> Flask:
    """With the pages of calls alone."""
    parts = ConsoleParts(store, settings, clock)
    options = ConsoleOptions(session_key=b"k" * 32, access=access or MachineAccess())
    return console_app(options, [Section("Calls", "calls.recent", pages.blueprint(parts))])
