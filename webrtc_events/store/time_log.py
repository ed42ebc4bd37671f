"""Tells the operator that the store's clock went back, and when it is up with the partitions' time again."""

import logging

__all__ = ["TimeLog"]

log = logging.getLogger(__name__)

# Clocks of hosts differ by less, and are set by less, all the time.
_MIN_REPORTED_MS = 1000
# Source: lua/shared/common.lua. Time goes on a tenth slower, so the clock gains an hour in ten.
_CATCH_UP_FACTOR = 10


class TimeLog:
    """For one thread."""

    def __init__(self) -> None:
        self._reported_ms = 0

    def report(self, ahead_ms: int) -> None:
        """`ahead_ms`: by how much the partition that is furthest ahead of the store's clock is so now."""
        if ahead_ms >= self._reported_ms + _MIN_REPORTED_MS:
            self._reported_ms = ahead_ms
            log.warning(
                "the store's clock is %.0f s behind the time that it gave before: it was set, or another "
                "node took over. Time goes on from there, a tenth slower, for up to %s, or until the clock "
                "is set right",
                ahead_ms / 1000,
                _span(ahead_ms * _CATCH_UP_FACTOR),
            )
        elif self._reported_ms and ahead_ms == 0:
            self._reported_ms = 0
            log.info("the store's clock is up with the time that it gave before")
        elif ahead_ms < self._reported_ms:
            # So that another step back is reported.
            self._reported_ms = max(ahead_ms, 1)


def _span(ms: int) -> str:
    minutes = -(-ms // 60_000)
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"
