"""Spans as OpenTelemetry's library records them, sampled, and sent by OTLP."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)

from webrtc_events.core.clock import Clock
from webrtc_events.core.random_uuids import random_uuids
from webrtc_events.core.settings import Settings
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.telemetry.span_export import CountedExporter, SpanQueue, otlp_exporter
from webrtc_events.telemetry.spans import Attribute, AttributeValue, Span, SpanFamily

__all__ = ["Tracing"]

log = logging.getLogger(__name__)

_STOP_S: Final = 3.0
# Names and words of this service are short; this bounds what is not: a correlator, a host.
_LIMITS: Final = SpanLimits(
    # All of them: those that are not given it reads from the environment.
    max_attributes=32,
    max_events=0,
    max_links=1,
    max_span_attributes=32,
    max_event_attributes=0,
    max_link_attributes=0,
    max_attribute_length=256,
    max_span_attribute_length=256,
)
_NANOSECONDS: Final = 1_000_000_000


class Tracing:
    """Of one process: its thread is started here, so after a fork. `stop` sends what is left."""

    def __init__(self, settings: Settings, clock: Clock, exporter: SpanExporter, collector: str) -> None:
        self._clock = clock
        self._counted = CountedExporter(exporter, collector, clock)
        self._queue = SpanQueue(self._counted)
        self._ids = _Ids()
        self._sampler = _sampler(settings)
        self._provider = TracerProvider(
            sampler=self._sampler,
            resource=_resource(settings),
            id_generator=self._ids,
            span_limits=_LIMITS,
            # At the process's end it would wait for half a minute.
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._queue)
        self._tracer = self._provider.get_tracer("webrtc_events", version("webrtc-events"))
        self.counts: Final = self._counted.counts

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> "Tracing":
        collector = settings.otel_exporter_otlp_endpoint or ""
        exporter = otlp_exporter(collector, settings.otel_exporter_otlp_headers)
        log.info("traces go to %s", collector)
        return cls(settings, clock, exporter, collector)

    def start(
        self,
        family: SpanFamily,
        parent: TraceContext | None,
        *,
        name: str | None = None,
        began_s: float | None = None,
        attributes: Mapping[Attribute, AttributeValue] | None = None,
        link: TraceContext | None = None,
        trace_id: str | None = None,
    ) -> Span | None:
        """See `Spans`."""
        name = name or family.name
        context = _remote(parent)
        number = self._ids.new(trace_id) if parent is None else int(parent.trace_id, 16)
        # Most are passed over. A span is made only then: the library makes one to say no.
        if self._sampler.should_sample(context, number, name).decision is not Decision.RECORD_AND_SAMPLE:
            return None
        with self._ids.given(number):
            span = self._tracer.start_span(
                name,
                context=context,
                kind=trace.SpanKind[family.kind.name],
                attributes={attribute.value: value for attribute, value in (attributes or {}).items()},
                links=None if link is None else [trace.Link(_span_context(link))],
                start_time=self._epoch_ns(began_s),
            )
        return _RecordedSpan(span, "" if parent is None else parent.state, self._epoch_ns)

    def _epoch_ns(self, moment_s: float | None = None) -> int:
        """Of a moment by the monotonic clock; None: now."""
        now_s = self._clock.now()
        if moment_s is not None:
            now_s -= self._clock.monotonic() - moment_s
        return int(now_s * _NANOSECONDS)

    def stop(self) -> None:
        """Takes 3 s at most, whatever the collector does."""
        # It waits for a request that is under way, and its library for longer than that.
        stopping = threading.Thread(target=self._provider.shutdown, name="traces stop", daemon=True)
        stopping.start()
        stopping.join(_STOP_S)
        if stopping.is_alive() or self._queue.waiting:
            log.warning("traces lack the last spans of this process: the collector does not answer")


class _RecordedSpan:
    """`state`: its parent's, which no sampler here changes. The library refuses some, and logs each."""

    def __init__(self, span: trace.Span, state: str, now_ns: Callable[[], int]) -> None:
        self._span = span
        self._state = state
        self._now_ns = now_ns

    @property
    def context(self) -> TraceContext:
        found = self._span.get_span_context()
        return TraceContext(
            trace.format_trace_id(found.trace_id),
            trace.format_span_id(found.span_id),
            int(found.trace_flags),
            self._state,
        )

    def note(self, attribute: Attribute, value: AttributeValue) -> None:
        self._span.set_attribute(attribute.value, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, why: str) -> None:
        self._span.set_status(trace.StatusCode.ERROR, why)

    def end(self) -> None:
        self._span.end(self._now_ns())


class _Ids(RandomIdGenerator):
    """Random ones; a trace has its before the library asks."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def new(self, trace_id: str | None) -> int:
        return super().generate_trace_id() if trace_id is None else int(trace_id, 16)

    @contextmanager
    def given(self, number: int) -> Iterator[None]:
        """While in it, a trace that this thread begins has this id."""
        self._of_thread.number = number
        try:
            yield
        finally:
            del self._of_thread.number

    def generate_trace_id(self) -> int:
        number: int = self._of_thread.number
        return number


def _remote(parent: TraceContext | None) -> Context:
    """Never the context of the thread: what is recorded has the parent that it is given, or none."""
    if parent is None:
        return Context()
    return trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parent)), Context())


def _span_context(context: TraceContext) -> trace.SpanContext:
    flags = trace.TraceFlags(context.flags)
    return trace.SpanContext(int(context.trace_id, 16), int(context.span_id, 16), True, flags)


def _sampler(settings: Settings) -> Sampler:
    ratio = settings.otel_traces_sampler_arg
    match settings.otel_traces_sampler:
        case "always_on":
            return ALWAYS_ON
        case "always_off":
            return ALWAYS_OFF
        case "parentbased_always_off":
            return DEFAULT_OFF
        case "traceidratio":
            return TraceIdRatioBased(ratio)
        case "parentbased_traceidratio":
            return ParentBasedTraceIdRatio(ratio)
    return DEFAULT_ON


def _resource(settings: Settings) -> Resource:
    return Resource.create(
        {
            "service.version": version("webrtc-events"),
            "service.instance.id": next(random_uuids()),
            **dict(settings.otel_resource_attributes),
            "service.name": settings.otel_service_name,
        }
    )
