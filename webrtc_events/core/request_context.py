"""Which request the running code works for, so that its log lines can say so."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["RequestContext", "api_name", "current_request", "entered_request", "known_as"]


@dataclass(slots=True)
class RequestContext:
    """`correlator` is the request's x-correlator; `client` is known once its token is verified.

    `operation` is the operationId, `api` the API and version that has it; where there is none, `path` is what
    the path is known as, without anything that somebody sent. `headers` are those of the request, by names in
    lower case.
    """

    correlator: str
    headers: Sequence[tuple[bytes, bytes]] = ()
    client: str = ""
    operation: str = ""
    api: str = ""
    path: str = ""


# One object for a request: threads that work for it get a copy of the variable, and see the same object.
_CURRENT: ContextVar[RequestContext | None] = ContextVar("webrtc_events_request", default=None)


@contextmanager
def entered_request(correlator: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> Iterator[RequestContext]:
    """While in it, the running task works for this request.

    What copied the context meanwhile keeps the copy: a connection that goes on to read in it, for the
    next request. It is to say nothing of this one then.
    """
    context = RequestContext(correlator, headers)
    token = _CURRENT.set(context)
    try:
        yield context
    finally:
        _CURRENT.reset(token)
        context.correlator = context.client = ""
        context.headers = ()


def current_request() -> RequestContext | None:
    """None outside of any request."""
    return _CURRENT.get()


def api_name(base_path: str) -> str:
    """Of an API, by where it is: `webrtc-events/v0.2`."""
    return base_path.lstrip("/")


def known_as(*, operation: str = "", api: str = "", path: str = "") -> None:
    """For log and metrics: what the request under way is, without anything that somebody sent."""
    context = current_request()
    if context is not None:
        context.operation, context.api, context.path = operation, api, path
