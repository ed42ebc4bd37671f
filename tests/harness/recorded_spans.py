"""What a process records as spans, read in this process in place of a collector."""

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.telemetry.tracing import Tracing

__all__ = ["RecordedSpans"]


class RecordedSpans:
    """`tracing` is for what is tested; to be stopped."""

    def __init__(self, settings: Settings) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(settings, SystemClock(), self._exporter, "memory")

    @property
    def all(self) -> list[ReadableSpan]:
        """Those that have ended, by their start."""
        self.tracing._provider.force_flush()
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]
