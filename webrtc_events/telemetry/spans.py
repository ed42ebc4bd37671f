"""Every span that the service records, with its attributes, and the interface to what records them.

Names follow OpenTelemetry's semantic conventions for HTTP and messaging, where these have one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final, Protocol

from webrtc_events.core.trace_context import TraceContext

__all__ = ["ATTRIBUTES", "SPANS", "Attribute", "AttributeValue", "Span", "SpanFamily", "SpanKind", "Spans"]

AttributeValue = str | int | bool


class SpanKind(StrEnum):
    """OpenTelemetry's."""

    SERVER = auto()
    PRODUCER = auto()
    CONSUMER = auto()
    CLIENT = auto()


class Attribute(StrEnum):
    """Names of attributes. None is of a person, nor of a sink's path: see `ATTRIBUTES`."""

    METHOD = "http.request.method"
    ROUTE = "http.route"
    STATUS = "http.response.status_code"
    RESEND = "http.request.resend_count"
    ADDRESS = "server.address"
    PORT = "server.port"
    ERROR = "error.type"
    SYSTEM = "messaging.system"
    OPERATION = "messaging.operation.name"
    OPERATION_TYPE = "messaging.operation.type"
    BATCH = "messaging.batch.message_count"
    CORRELATOR = "webrtc_events.correlator"
    EVENT_TYPE = "webrtc_events.event_type"
    SUBSCRIPTION = "webrtc_events.subscription"
    OUTBOXES = "webrtc_events.outboxes"
    DUPLICATES = "webrtc_events.duplicates"
    ATTEMPT = "webrtc_events.attempt"
    OUTCOME = "webrtc_events.outcome"
    REASON = "webrtc_events.reason"


ATTRIBUTES: Final = {
    Attribute.METHOD: "The request's method.",
    Attribute.ROUTE: "The operation's path, with its parameters by their names.",
    Attribute.STATUS: "The answer's status; it lacks where there was no answer.",
    Attribute.RESEND: "How many attempts came before, from the second on.",
    Attribute.ADDRESS: "The sink's host, as the log has it.",
    Attribute.PORT: "The sink's port.",
    Attribute.ERROR: "The status, or why there was none or no attempt, as `reason` in the log.",
    Attribute.SYSTEM: "`webrtc-events`.",
    Attribute.OPERATION: "`append` or `claim`.",
    Attribute.OPERATION_TYPE: "`send` for append, `process` for claim.",
    Attribute.BATCH: "How many events of the request are of this trace, if several.",
    Attribute.CORRELATOR: "The x-correlator: of the gateway's request, or of the notification.",
    Attribute.EVENT_TYPE: "The last part of the event's type; `handshake` where a sink is asked.",
    Attribute.SUBSCRIPTION: "A pseudonym: `webrtc-events pseudonym <id>` prints that of a subscription.",
    Attribute.OUTBOXES: "How many outboxes took the events.",
    Attribute.DUPLICATES: "How many of the events had been accepted before.",
    Attribute.ATTEMPT: "Which attempt it is, from 1 on.",
    Attribute.OUTCOME: "What came of the attempt, as in the log.",
    Attribute.REASON: "Why, unless the event was delivered.",
}
"""What each says."""


@dataclass(frozen=True, slots=True)
class SpanFamily:
    """`name`: as a rule; a span of a request is called by method and route, or by method alone."""

    name: str
    kind: SpanKind
    help: str
    attributes: Sequence[Attribute]


class SPANS:
    """All that there are."""

    REQUEST: Final = SpanFamily(
        "{method} {route}",
        SpanKind.SERVER,
        "A request to an operation of the API, from its head to the head of the answer.",
        (Attribute.METHOD, Attribute.ROUTE, Attribute.STATUS, Attribute.CORRELATOR, Attribute.ERROR),
    )
    APPEND: Final = SpanFamily(
        "append",
        SpanKind.PRODUCER,
        "Events of one trace are matched and appended to outboxes.",
        (
            *(Attribute.SYSTEM, Attribute.OPERATION, Attribute.OPERATION_TYPE, Attribute.BATCH),
            *(Attribute.OUTBOXES, Attribute.DUPLICATES, Attribute.ERROR),
        ),
    )
    CLAIM: Final = SpanFamily(
        "claim",
        SpanKind.CONSUMER,
        "One attempt at an event: from the claim, with the wait for its turn, to what came of it.",
        (
            *(Attribute.SYSTEM, Attribute.OPERATION, Attribute.OPERATION_TYPE, Attribute.EVENT_TYPE),
            *(Attribute.SUBSCRIPTION, Attribute.ATTEMPT, Attribute.OUTCOME, Attribute.REASON),
            Attribute.ERROR,
        ),
    )
    NOTIFICATION: Final = SpanFamily(
        "{method}",
        SpanKind.CLIENT,
        "The request to the sink. Its ids are in the `traceparent` that the sink gets.",
        (
            *(Attribute.METHOD, Attribute.ADDRESS, Attribute.PORT, Attribute.STATUS, Attribute.RESEND),
            *(Attribute.CORRELATOR, Attribute.ERROR),
        ),
    )


class Span(Protocol):
    """One that is recorded, once it has ended. One that is never ended is forgotten."""

    @property
    def context(self) -> TraceContext:
        """What its children are given."""

    def note(self, attribute: Attribute, value: AttributeValue) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, why: str) -> None:
        """Its status is error. `why`: one of a few words."""

    def end(self) -> None: ...


class Spans(Protocol):
    """What records spans. Nothing here waits, whatever becomes of a span. For any thread."""

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
        """None: its trace is not recorded.

        `name`: other than the family's. `began_s`: by the monotonic clock, if it was not now. `trace_id`: of
        a span without a parent, whose trace several processes know of; else a new one.
        """
