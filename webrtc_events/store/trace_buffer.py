"""What is recorded of calls until it is written: bounded, and what there is no room for is counted."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from webrtc_events.core.call_trace import TraceEntry
from webrtc_events.core.clock import Clock

__all__ = ["BufferLimits", "Loss", "TraceBuffer", "TraceNote"]

# Of which losses are counted one by one; a trace of further ones does not say that it has a gap.
_MAX_SESSIONS = 1000


class TraceNote(Protocol):
    """What is recorded, before it is put into words. `size`: the bytes that it keeps in memory, about.

    `registration`: the one that its session involves by that, if it names one.
    """

    @property
    def size(self) -> int: ...

    @property
    def registration(self) -> str | None: ...

    def session(self) -> str | None:
        """The mediaSessionId; None: it is no matter of a call."""

    def entry(self, session: str, store_ms: Callable[[float], int]) -> TraceEntry:
        """`store_ms` gives the store's time, ms since the epoch, for a moment of the monotonic clock, s."""


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """What waits to be written: notes, and their bytes."""

    notes: int = 10_000
    size: int = 8_388_608


@dataclass(frozen=True, slots=True)
class Loss:
    """How many entries of a session were lost, and when the first of them was, by the monotonic clock, s."""

    count: int
    since_s: float


class TraceBuffer:
    """May be used by any thread; none waits for more than another's call."""

    def __init__(self, clock: Clock, limits: BufferLimits) -> None:
        self._now_s = clock.monotonic
        self._limits = limits
        self._lock = threading.Lock()
        self._notes: list[TraceNote] = []
        self._size = 0
        self._lost: dict[str, Loss] = {}
        self._reasons: Counter[str] = Counter()

    def __bool__(self) -> bool:
        """Whether there is something to write."""
        return bool(self._notes or self._lost)

    def add(self, notes: Iterable[TraceNote]) -> None:
        """Keeps the notes, or counts them as lost."""
        with self._lock:
            for note in notes:
                size = self._size + note.size
                if len(self._notes) < self._limits.notes and size <= self._limits.size:
                    self._notes.append(note)
                    self._size = size
                else:
                    self._lose(note.session(), 1, "the buffer is full")

    def take(self) -> list[TraceNote]:
        """All notes, which are no longer kept here."""
        with self._lock:
            notes, self._notes, self._size = self._notes, [], 0
        return notes

    def lose(self, session: str | None, count: int, reason: str) -> None:
        """Counts entries that cannot be written. `reason` is one of a few."""
        with self._lock:
            self._lose(session, count, reason)

    def take_losses(self) -> dict[str, Loss]:
        """By session, what was lost since this was called last."""
        with self._lock:
            lost, self._lost = self._lost, {}
        return lost

    def take_reasons(self) -> Counter[str]:
        """How many entries were lost for each reason since this was called last."""
        with self._lock:
            reasons, self._reasons = self._reasons, Counter()
        return reasons

    def _lose(self, session: str | None, count: int, reason: str) -> None:
        if session is None:
            return
        self._reasons[reason] += count
        before = self._lost.get(session)
        if before is not None:
            self._lost[session] = Loss(before.count + count, before.since_s)
        elif len(self._lost) < _MAX_SESSIONS:
            self._lost[session] = Loss(count, self._now_s())
