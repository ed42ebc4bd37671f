"""The way of spans to the collector: a bounded queue, a thread that sends them, and what is lost."""

import logging
import threading
from collections.abc import Sequence
from typing import Final

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from webrtc_events.core.activity import Counts
from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.one_line import one_line

__all__ = ["CountedExporter", "SpanQueue", "otlp_exporter"]

log = logging.getLogger(__name__)

_LINES_A_MINUTE: Final = 1
# OpenTelemetry's defaults for the number of spans that wait, and that are sent at once.
_WAITING: Final = 2048
_AT_ONCE: Final = 512
_EVERY_MS: Final = 2000.0
_PATH: Final = "v1/traces"


class _Said(logging.Filter):
    """Keeps what the library has to say of each request, which is logged once a minute with what is lost."""

    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        text = one_line(record.getMessage())
        # What comes after several tries says less than each of them.
        if not self.last or "max retries or shutdown" not in text:
            self.last = text
        return False


_SAID: Final = _Said()


def otlp_exporter(endpoint: str, headers: Sequence[tuple[str, str]]) -> OTLPSpanExporter:
    """Sends to the collector directly. It reads OTEL_EXPORTER_OTLP_TIMEOUT, _COMPRESSION, _CERTIFICATE and
    the like by itself; what is wrong there it logs, and takes its default.
    """
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").addFilter(_SAID)
    session = requests.Session()
    # No proxies and no .netrc, which is for others.
    session.trust_env = False
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/{_PATH}", headers=dict(headers), session=session)


class CountedExporter(SpanExporter):
    """`counts`: `exported` and `lost` spans, the second also those of `lose`. `taken`: all that came."""

    def __init__(self, exporter: SpanExporter, collector: str, clock: Clock) -> None:
        self.counts: Final = Counts(exported=0, lost=0)
        self.taken = 0
        self._exporter = exporter
        self._collector = collector
        self._limit = LineLimit(clock, _LINES_A_MINUTE)
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        _SAID.last = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 (it is logged, and costs these spans and nothing else)
            _SAID.last = type(error).__name__
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.counts["exported"] += len(spans)
        else:
            self.lose(len(spans), _SAID.last)
        return result

    def lose(self, count: int, why: str) -> None:
        """By any thread."""
        with self._lock:
            self.counts["lost"] += count
            if self._limit.admit("lost") is not None:
                log.warning(
                    "traces lack spans, %d until now: the collector %s does not take them: %s",
                    self.counts["lost"],
                    self._collector,
                    why,
                )

    def shutdown(self) -> None:
        self._exporter.shutdown()


class SpanQueue(BatchSpanProcessor):
    """Of more spans than may wait, those that come are lost: who records never waits."""

    def __init__(self, exporter: CountedExporter) -> None:
        super().__init__(exporter, _WAITING, _EVERY_MS, _AT_ONCE)
        self._counted = exporter
        self._ended = 0
        self._lock = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            is_full = self._ended - self._counted.taken >= _WAITING
            self._ended += not is_full
        if is_full:
            self._counted.lose(1, f"{_WAITING} wait already")
        else:
            super().on_end(span)

    @property
    def waiting(self) -> int:
        return self._ended - self._counted.taken
