"""Which request the running code works for, so that its log lines can say so."""

from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["RequestContext", "current_request", "enter_request"]


@dataclass(slots=True)
class RequestContext:
    """`correlator` is the request's x-correlator; `client` is known once its token is verified."""

    correlator: str
    client: str = ""


# One object for a request: threads that work for it get a copy of the variable, and see the same object.
_CURRENT: ContextVar[RequestContext | None] = ContextVar("webrtc_events_request", default=None)


def enter_request(correlator: str) -> RequestContext:
    """From here on, the running task works for this request."""
    context = RequestContext(correlator)
    _CURRENT.set(context)
    return context


def current_request() -> RequestContext | None:
    """None outside of any request."""
    return _CURRENT.get()
