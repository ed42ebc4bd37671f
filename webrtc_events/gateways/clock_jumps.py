"""A wall clock that is set while an adapter runs: what its queue keeps is as old as before."""

import logging
import sqlite3
from typing import Final

from webrtc_events.core.clock import Clock

__all__ = ["ClockJumps", "follow_clock"]

log = logging.getLogger(__name__)

_MIN_S: Final = 60.0
_MOMENTS: Final = (
    ("queue", "queued_ms"),
    ("events_aside", "set_aside_ms"),
    ("state", "changed_ms"),
    ("seen", "seen_ms"),
)


class ClockJumps:
    """Asked often, it tells a clock that is set from one that is slewed, or drifts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = self._offset()

    def found_ms(self) -> int:
        """By how much it was set since the last call of `noted`; 0: by less than a minute."""
        jump_s = self._offset() - self._offset_s
        return round(jump_s * 1000) if abs(jump_s) >= _MIN_S else 0

    def noted(self) -> None:
        self._offset_s = self._offset()

    def _offset(self) -> float:
        return self._clock.now() - self._clock.monotonic()


def follow_clock(database: sqlite3.Connection, jumps: ClockJumps) -> None:
    """In a transaction of its own: nothing is given up, or forgotten, because the clock was set."""
    if jump_ms := jumps.found_ms():
        database.execute("BEGIN IMMEDIATE")
        for table, column in _MOMENTS:
            database.execute(f"UPDATE {table} SET {column} = {column} + ?", (jump_ms,))  # noqa: S608 (own names)
        database.execute("COMMIT")
        log.warning("the clock was set by %+d s: what is in the queue keeps its age", jump_ms // 1000)
    jumps.noted()
