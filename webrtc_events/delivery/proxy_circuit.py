"""The circuit breaker of the egress proxy: while it fails, it gets a probe now and then, and nothing else.

Closed: requests go. It opens after some failures of the proxy itself in a row (reason `proxy`), with nothing
in between that got through. Open: tasks are deferred, uncounted, and one a while goes as a probe. Anything
but another failure of the proxy closes it: whatever the sink said, the proxy works. What failed before the
proxy was asked says nothing: else one subscription whose sink is refused here would keep it closed. So a
failing proxy costs each subscription a few attempts at most, and no sink is blamed for it.

Times are seconds of one monotonic clock.
"""

import logging
from collections.abc import Callable
from random import random
from typing import Final

from webrtc_events.core.outcomes import SinkFailure, SinkReply

__all__ = ["FAILURES_TO_OPEN", "MAX_PAUSE_S", "ProxyCircuit"]

log = logging.getLogger(__name__)

FAILURES_TO_OPEN: Final = 5
"""Failures of the proxy in a row that open the circuit."""

MAX_PAUSE_S: Final = 4.0
"""Between probes. Short, since a call rings for a minute or two and a probe costs one connection."""

_FIRST_PAUSE_S: Final = 1.0
_LOG_EVERY_S: Final = 60.0
# As egress.py refuses a sink, as a request cannot be written, as this host lacks sockets.
_NOT_ASKED: Final = frozenset({"address_refused", "other", "protocol"})


class ProxyCircuit:
    """Of one worker. `proxied`: whether requests to a sink's URL go through the proxy.

    `random`: uniform in [0, 1).
    """

    def __init__(self, proxied: Callable[[str], bool], random: Callable[[], float] = random) -> None:
        self._proxied = proxied
        self._random = random
        self._failures = 0
        self._pause_s = 0.0
        self._probe_s = 0.0
        self._probing = False
        self._failing_since_s = 0.0
        self._logged_s = float("-inf")

    @property
    def open(self) -> bool:
        """Whether the proxy is known to fail."""
        return self._pause_s > 0

    def delay_s(self, url: str, now_s: float) -> float:
        """How long a request to that sink must wait; 0 if it may go, as the next probe at least."""
        if not self.open or not self._proxied(url):
            return 0.0
        if now_s >= self._probe_s:
            # One that never ends, or that is not sent after all, holds the next one up for this long only.
            self._next_probe(now_s)
            self._probing = True
            return 0.0
        # Spread, so that what waits does not come at once; most come after the probe has ended.
        return self._probe_s - now_s + self._pause_s * (0.5 + self._random())

    def replied(self, url: str, reply: SinkReply, now_s: float) -> None:
        """Learns from the end of a request to that sink."""
        if not self._failures and not isinstance(reply, SinkFailure):
            # First, as most are.
            return
        if not self._proxied(url):
            return
        if isinstance(reply, SinkFailure) and reply.reason == "proxy":
            self._fail(reply.detail, now_s)
        elif self._failures and not (isinstance(reply, SinkFailure) and reply.reason in _NOT_ASKED):
            self._recover(now_s)

    def _fail(self, detail: str, now_s: float) -> None:
        if not self._failures:
            self._failing_since_s = now_s
        self._failures += 1
        if self._failures < FAILURES_TO_OPEN:
            return
        # What was in flight when it opened fails too, and says nothing new.
        if self._probing or not self.open:
            self._probing = False
            self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2 or _FIRST_PAUSE_S)
            self._next_probe(now_s)
        if now_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = now_s
            log.warning(
                "the egress proxy fails, for %d s now: %s; deliveries wait, and no sink is blamed",
                round(now_s - self._failing_since_s),
                detail,
            )

    def _next_probe(self, now_s: float) -> None:
        self._probe_s = now_s + self._pause_s * (0.5 + 0.5 * self._random())

    def _recover(self, now_s: float) -> None:
        if self.open:
            seconds = round(now_s - self._failing_since_s)
            log.info("the egress proxy works again, after %d s; what waited is delivered", seconds)
        self._failures = 0
        self._pause_s = 0.0
        self._probing = False
        self._logged_s = float("-inf")
