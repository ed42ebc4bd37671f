"""What a recorder of traces must know of the store: its time, and whether it is above its watermark."""

import math
from typing import Any

from webrtc_events.core.clock import Clock
from webrtc_events.store.connection import Connection
from webrtc_events.store.redis.scripts import store_errors

__all__ = ["TraceFacts"]

# Clocks drift by less than a ms in that time.
_FRESH_S = 1.0


class TraceFacts:
    """For one thread at a time. `watermark`: percent of maxmemory."""

    def __init__(self, connection: Connection, clock: Clock, watermark: int) -> None:
        self._connection = connection
        self._clock = clock
        self._watermark = watermark
        self._asked_s = -math.inf
        self._ahead_ms = 0.0
        self.is_full = False

    def refresh(self) -> None:
        """Asks the store, if that was a while ago. To be called before anything else is asked of it.

        Raises:
            Unavailable: no node answers.
        """
        if self._clock.monotonic() - self._asked_s < _FRESH_S:
            return
        with store_errors():
            answers = self._connection.client.ask_each(("TIME",), ("INFO", "memory")).values()
        now_s = self._clock.monotonic()
        # The store said so a little before. So what came in is never later than what followed from it.
        times_ms = [seconds * 1000 + micros / 1000 for (seconds, micros), _ in answers]
        self._ahead_ms = min(times_ms) + self._connection.scripts.offset_ms - now_s * 1000
        self.is_full = any(self._is_above(memory) for _, memory in answers)
        self._asked_s = now_s

    def store_ms(self, moment_s: float) -> int:
        """The store's time, ms since the epoch, at a moment of the monotonic clock; after a `refresh`."""
        return math.floor(moment_s * 1000 + self._ahead_ms)

    def _is_above(self, memory: dict[str, Any] | None) -> bool:
        """Where the store does not say, its own bound holds."""
        if not memory or not memory.get("maxmemory"):
            return False
        return bool(memory["used_memory"] > memory["maxmemory"] * self._watermark / 100)
