"""Notes and recorders for tests of traces."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webrtc_events.core.call_trace import AcceptedEntry, AttemptEntry, TraceEntry, TraceLevel
from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.store.store import Store
from webrtc_events.store.trace_buffer import BufferLimits
from webrtc_events.store.trace_facts import TraceFacts
from webrtc_events.store.trace_recorder import TraceRecorder
from webrtc_events.store.trace_writes import TraceLimits, TraceWrites

AT = 1_800_000_000_000
LIMITS = TraceLimits(sessions=100, age_ms=86_400_000)


@dataclass
class Note:
    """An entry as it is. `of` None: it is no matter of a call."""

    of: str | None
    noted: TraceEntry
    registration: str | None = None
    size: int = 100
    asked: list[str] = field(default_factory=list)

    def session(self) -> str | None:
        return self.of

    def entry(self, session: str, store_ms: Callable[[float], int]) -> TraceEntry:  # noqa: ARG002
        self.asked.append(session)
        return self.noted


def accepted(session: str = "s1", at: int = AT, registration: str | None = None, **values: Any) -> Note:
    given = {
        "id": "e1",
        "source": "/gateway",
        "time": "2026-03-10T09:00:00.000Z",
        "type": "session-status",
        "subscriptions": 1,
    }
    entry = AcceptedEntry(at=at, session=session, registration=registration, **(given | values))
    return Note(session, entry, registration)


def attempt(session: str = "s1", at: int = AT + 5, outcome: str = "delivered", **values: Any) -> Note:
    given = {
        "subscription": "i-2a",
        "event": "i-2a.1",
        "type": "session-status",
        "accepted_at": AT,
        "attempt": 1,
        "host": "https://app.example:443",
        "client": "app",
    }
    entry = AttemptEntry(at=at, session=session, outcome=outcome, **(given | values))
    return Note(session, entry)


def recorder_of(
    store: Store,
    *,
    clock: Clock | None = None,
    limits: TraceLimits = LIMITS,
    buffer: BufferLimits | None = None,
    level: TraceLevel = TraceLevel.FULL,
    watermark: int = 90,
) -> TraceRecorder:
    """One whose thread is not started: the test calls `flush`."""
    clock = clock or SystemClock()
    writes = TraceWrites(store.connection, limits, level)
    facts = TraceFacts(store.connection, clock, watermark)
    return TraceRecorder(writes, facts, level, clock, buffer)


def recorded(store: Store, *notes: Note, **options: Any) -> None:
    """Writes notes at once."""
    recorder = recorder_of(store, **options)
    recorder.record(notes)
    recorder.flush()
