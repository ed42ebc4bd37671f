"""Tells the operator that this worker leaves subscriptions alone, whose sinks are channels unknown to it."""

import logging

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit

__all__ = ["UnknownChannelsLog"]

log = logging.getLogger(__name__)

_LINES_A_MINUTE = 1


class UnknownChannelsLog:
    """Writes a line a minute, as long as there are some. For one thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._limit = LineLimit(clock, _LINES_A_MINUTE)

    def report(self, count: int) -> None:
        """`count` subscriptions of a partition were left to a worker that knows their channels."""
        if count and self._limit.admit("unknown") is not None:
            log.warning(
                "subscriptions are left to other workers, and wait if there is none: their sinks are "
                "channels, but not below this worker's WEBRTC_EVENTS_CHANNELS_URL. Start it with the API's"
            )
