"""The log of requests: one line for each that fails, and for one of several others."""

import logging

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_config import LineForm
from webrtc_events.core.log_lines import LogLines
from webrtc_events.core.request_context import RequestContext

__all__ = ["RequestLog"]

log = logging.getLogger(__name__)

# What asks it every few seconds.
_PROBES = frozenset({"/healthz", "/readyz"})


class RequestLog:
    """Of `every` requests that do not fail one has a line. For one thread, that of the event loop.

        request method=POST operation=publishEvents api=network/v0 status=202 ms=3 correlator=3f2a client=gw

    A request of no operation has a `path` in place of it: one that this service knows, or "other", never what
    somebody sent. Probes have a line only if they fail.
    """

    def __init__(self, clock: Clock, every: int) -> None:
        self._every = every
        self._answered = 0
        # What is given to it is chosen here; the client is masked already.
        self._lines = LogLines(log, str, clock)

    def finished(self, method: str, context: RequestContext, status: int | None, seconds: float) -> None:
        """To be called in the request's context. `status` None: it had no answer. `seconds`: what it took."""
        if status is not None and status < 400:
            if context.path in _PROBES:
                return
            self._answered += 1
            if self._answered % self._every:
                return
        what = {"operation": context.operation} if context.operation else {"path": context.path or "other"}
        if context.api:
            what["api"] = context.api
        elapsed_ms = round(seconds * 1000)
        fields: dict[str, str | int | None] = {"method": method, **what, "status": status, "ms": elapsed_ms}
        if self._lines.form is not LineForm.RECORD:
            # To records a filter adds them.
            fields["correlator"] = context.correlator
            if context.client:
                fields["client"] = context.client
        level = logging.WARNING if status is None or status >= 500 else logging.INFO
        self._lines.add(level, "request", fields)
        self._lines.flush()
