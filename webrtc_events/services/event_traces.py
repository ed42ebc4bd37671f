"""The traces that accepted events belong to: the gateway's as they came, or with spans of this service."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from webrtc_events.core.model import NetworkEvent
from webrtc_events.core.request_context import current_request
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.store.appends import AppendResult
from webrtc_events.telemetry.spans import SPANS, Attribute, Span, Spans

__all__ = ["EventTraces", "TracedEvents"]


class TracedEvents:
    """Context manager. `contexts`: of each event the trace that is kept with it, in order."""

    def __init__(
        self, contexts: Sequence[TraceContext | None], spans: Sequence[tuple[Span, list[int]]]
    ) -> None:
        self.contexts: Final = contexts
        self._spans: Final = spans

    def appended(self, read: Sequence[object], results: Sequence[AppendResult]) -> None:
        """`read`: what each event was read as, in order, of which the valid ones have `results`."""
        if not self._spans:
            return
        left = iter(results)
        of_each = [next(left) if isinstance(event, NetworkEvent) else None for event in read]
        for span, numbers in self._spans:
            found = [result for number in numbers if (result := of_each[number]) is not None]
            span.note(Attribute.OUTBOXES, sum(result.subscriptions for result in found if result.new))
            span.note(Attribute.DUPLICATES, sum(not result.new for result in found))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for span, _ in self._spans:
            if kind is not None:
                span.note(Attribute.ERROR, kind.__name__)
                span.fail(kind.__name__)
            span.end()


class EventTraces:
    """An event is of the trace that it names itself (CloudEvents, extension for distributed tracing), else of
    that of its request. `spans` None: none is recorded here, and a trace passes through.
    """

    def __init__(self, spans: Spans | None = None) -> None:
        self._spans = spans

    def appending(self, events: Sequence[Any]) -> TracedEvents:
        """While in it, these events of the request under way are appended."""
        request = current_request()
        of_request = None if request is None else TraceContext.of_headers(request.headers)
        contexts = [_own(event) or of_request for event in events]
        if self._spans is None or not any(contexts):
            return TracedEvents(contexts, ())
        return _recorded(self._spans, contexts, of_request)


def _own(event: Any) -> TraceContext | None:
    # Not validated yet, so it may be anything.
    if isinstance(event, Mapping) and "traceparent" in event:
        return TraceContext.read(event["traceparent"], event.get("tracestate"))
    return None


def _recorded(
    spans: Spans, contexts: Sequence[TraceContext | None], of_request: TraceContext | None
) -> TracedEvents:
    """A span for each trace that is recorded, which takes the place of what came, for all its events."""
    numbers: dict[TraceContext, list[int]] = {}
    for number, context in enumerate(contexts):
        if context is not None and context.sampled:
            numbers.setdefault(context, []).append(number)
    own, started = list(contexts), []
    for context, of_trace in numbers.items():
        attributes: dict[Attribute, str | int | bool] = {
            Attribute.SYSTEM: "webrtc-events",
            Attribute.OPERATION: "append",
            Attribute.OPERATION_TYPE: "send",
        }
        if len(of_trace) > 1:
            attributes[Attribute.BATCH] = len(of_trace)
        # The request's span is of another trace than an event that names its trace itself.
        link = None if context == of_request else of_request
        span = spans.start(SPANS.APPEND, context, attributes=attributes, link=link)
        if span is not None:
            started.append((span, of_trace))
            for number in of_trace:
                own[number] = span.context
    return TracedEvents(own, started)
