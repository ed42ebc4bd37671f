"""Records what happens to the events of calls, off the way of what it records, as well as it can.

Whoever records waits for nothing: notes go into a buffer, which a thread writes to the store. What there is
no room for, there or in the store, is lost and counted, and the trace says where.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Self

from webrtc_events.core.call_trace import GapEntry, TraceLevel
from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.loops import Loop
from webrtc_events.core.settings import Settings
from webrtc_events.store.connection import Connection
from webrtc_events.store.trace_buffer import BufferLimits, TraceBuffer, TraceNote
from webrtc_events.store.trace_facts import TraceFacts
from webrtc_events.store.trace_writes import Noted, TraceBatch, TraceLimits, TraceWrites

__all__ = ["TraceRecorder"]

log = logging.getLogger(__name__)

_EVERY_S = 0.15
_LINES_A_MINUTE = 1
# What the store does not answer is kept until it does: so many entries, and as many sessions to be listed.
_MAX_UNANSWERED = 5000
# Others of the store's clients wait no longer than for so many runs of a script.
_WRITTEN_AT_ONCE = 50


class TraceRecorder:
    """`record` may be called by any thread; `now_s` is the monotonic clock of its notes.

    `loop` is started and stopped by its owner: its last round writes what was recorded until then, if the
    store answers.
    """

    def __init__(
        self,
        writes: TraceWrites,
        facts: TraceFacts,
        level: TraceLevel,
        clock: Clock,
        limits: BufferLimits | None = None,
    ) -> None:
        self.level = level
        self.now_s = clock.monotonic
        self.loop = Loop("call traces", self._round, clock)
        self._writes = writes
        self._facts = facts
        self._buffer = TraceBuffer(clock, limits or BufferLimits())
        self._unanswered: list[TraceBatch] = []
        self._to_list: dict[str, int] = {}
        self._limit = LineLimit(clock, _LINES_A_MINUTE)
        self.record = self._buffer.add

    @classmethod
    def of(cls, settings: Settings, connection: Connection, clock: Clock) -> Self | None:
        """None: nothing is recorded."""
        level = TraceLevel(settings.call_traces)
        if level is TraceLevel.OFF:
            return None
        writes = TraceWrites(connection, TraceLimits.of(settings), level)
        return cls(writes, TraceFacts(connection, clock, settings.store_watermark), level, clock)

    def flush(self) -> None:
        """Writes what was recorded until now.

        Raises:
            Unavailable: the store does not answer; what is not written is kept, up to a bound.
        """
        self._log_losses()
        if not (self._buffer or self._unanswered or self._to_list):
            return
        self._facts.refresh()
        notes = self._buffer.take()
        if self._facts.is_full:
            self._lose(notes, "the store is above its watermark")
            return
        self._unanswered += self._batches(notes)
        self._bound()
        self._write()
        self._list()

    def _round(self) -> None:
        self.loop.pause(_EVERY_S)
        self.flush()

    def _batches(self, notes: Iterable[TraceNote]) -> Iterator[TraceBatch]:
        """What was noted, and what was lost, by session."""
        noted: dict[str, list[Noted]] = defaultdict(list)
        for note in notes:
            session = note.session()
            if session is not None:
                entry = note.entry(session, self._facts.store_ms)
                noted[session].append(Noted(entry, note.registration))
        for session, loss in self._buffer.take_losses().items():
            at = self._facts.store_ms(loss.since_s)
            noted[session].append(Noted(GapEntry(at=at, session=session, count=loss.count)))
        for session, of_one in noted.items():
            yield from self._writes.batches(session, of_one)

    def _write(self) -> None:
        left, unanswered = self._unanswered, []
        try:
            while left:
                batches = self._writes.wanted(left[:_WRITTEN_AT_ONCE])
                done = self._writes.write(batches) if batches else []
                left = left[_WRITTEN_AT_ONCE:]
                for batch, is_done in zip(batches, done, strict=True):
                    if is_done:
                        latest = self._to_list.get(batch.session, 0)
                        self._to_list[batch.session] = max(latest, batch.last_ms)
                    else:
                        unanswered.append(batch)
        finally:
            self._unanswered = unanswered + left

    def _list(self) -> None:
        """Among the recent calls."""
        if self._to_list:
            self._writes.index(self._to_list)
            self._to_list = {}

    def _bound(self) -> None:
        """The oldest that the store has not answered is given up."""
        entries = sum(batch.entries for batch in self._unanswered)
        while entries > _MAX_UNANSWERED and len(self._unanswered) > 1:
            batch = self._unanswered.pop(0)
            entries -= batch.entries
            self._buffer.lose(batch.session, batch.stands_for, "the store does not answer")
        if len(self._to_list) > _MAX_UNANSWERED:
            self._to_list = {}

    def _lose(self, notes: Iterable[TraceNote], reason: str) -> None:
        for note in notes:
            self._buffer.lose(note.session(), 1, reason)

    def _log_losses(self) -> None:
        for reason, count in self._buffer.take_reasons().items():
            if self._limit.admit(reason) is not None:
                log.warning("traces of calls lack %d entries: %s", count, reason)
