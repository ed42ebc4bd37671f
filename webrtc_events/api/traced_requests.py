"""A span for each request to an operation, where traces are recorded."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webrtc_events.core.clock import Clock
from webrtc_events.core.request_context import current_request
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.telemetry.spans import SPANS, Attribute, Span, Spans

__all__ = ["TracedRequests"]

_TRACE_HEADERS: Final = frozenset({b"traceparent", b"tracestate"})
_SERVER_ERROR: Final = 500


class TracedRequests:
    """An ASGI layer. Whoever is behind it reads from the headers that the request is of the span's trace.

    `routes`: by base path the whole paths of its operations, by operationId. A span ends with the head of the
    answer, as the metric. A request that reaches no operation has none; of one that is not recorded nothing
    is changed.
    """

    def __init__(
        self, app: ASGIApp, spans: Spans, routes: Mapping[str, Mapping[str, str]], clock: Clock
    ) -> None:
        self._app = app
        self._spans = spans
        self._routes = [(f"{base_path}/", paths) for base_path, paths in routes.items()]
        self._now_s = clock.monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        method = scope["method"]
        span = self._spans.start(
            SPANS.REQUEST,
            TraceContext.of_headers(headers),
            name=method,
            attributes={Attribute.METHOD: method},
        )
        if span is None:
            await self._app(scope, receive, send)
            return
        others = [(name, value) for name, value in headers if name not in _TRACE_HEADERS]
        own = [(name.encode(), value.encode()) for name, value in span.context.headers()]

        async def traced_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered(span, method, scope["path"], message["status"])
            await send(message)

        await self._app({**scope, "headers": [*others, *own]}, receive, traced_send)

    def _answered(self, span: Span, method: str, path: str, status: int) -> None:
        request = current_request()
        if request is None or not request.operation:
            return
        for base_path, routes in self._routes:
            if path.startswith(base_path) and request.operation in routes:
                route = routes[request.operation]
                span.rename(f"{method} {route}")
                span.note(Attribute.ROUTE, route)
                break
        span.note(Attribute.STATUS, status)
        span.note(Attribute.CORRELATOR, request.correlator)
        if status >= _SERVER_ERROR:
            span.note(Attribute.ERROR, str(status))
            span.fail(str(status))
        span.end()
