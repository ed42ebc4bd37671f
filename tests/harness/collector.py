"""An OTLP collector in this process: it takes what is sent to `/v1/traces` and says which spans it got."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.harness.valkeys import eventually

__all__ = ["Collector", "ReceivedSpan"]


@dataclass(frozen=True)
class ReceivedSpan:
    """Ids in hexadecimal; `parent` is '' for none. `links`: span ids. Times in ns since the epoch."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    began_ns: int
    ended_ns: int
    failed: bool
    attributes: Mapping[str, Any]
    links: tuple[str, ...]
    resource: Mapping[str, Any]

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes.get(attribute)


class Collector:
    """Context manager, on 127.0.0.1. `status`: what it answers, once `gate` is set."""

    def __init__(self) -> None:
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.headers: list[Mapping[str, str]] = []
        self._requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                collector.gate.wait()
                if self.path == "/v1/traces" and collector.status == 200:
                    collector._requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status if self.path == "/v1/traces" else 404)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """A failure is told by what was not received."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        return [
            _span(span, {value.key: _value(value.value) for value in of_resource.resource.attributes})
            for request in list(self._requests)
            for of_resource in request.resource_spans
            for scope in of_resource.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, count: int, name: str | None = None, timeout_s: float = 30) -> list[ReceivedSpan]:
        """The spans of that name, or all, by their start, once there are at least `count`."""

        def found() -> list[ReceivedSpan]:
            return [span for span in self.spans if name in (None, span.name)]

        eventually(lambda: len(found()) >= count, f"{count} spans {name or ''}", timeout_s)
        return sorted(found(), key=lambda span: span.began_ns)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _span(span: ProtoSpan, resource: Mapping[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes={value.key: _value(value.value) for value in span.attributes},
        links=tuple(link.span_id.hex() for link in span.links),
        resource=resource,
    )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
