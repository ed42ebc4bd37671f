"""The spans of delivery attempts: of each the claim, and in it the request to the sink."""

import hashlib
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from webrtc_events.core.clock import Clock
from webrtc_events.core.model import Claim, OutboxItem, OutboxKind
from webrtc_events.core.outcomes import Agreed, Delivered, Drop, End, Outcome, Refused
from webrtc_events.core.sink_hosts import host_of
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.store.outbox_entries import trace_of
from webrtc_events.telemetry.spans import SPANS, Attribute, AttributeValue, Span, Spans

__all__ = ["AttemptSpan", "AttemptSpans"]

_HTTP_ERROR: Final = 400


class AttemptSpan:
    """One attempt that is recorded. `context`: what the sink is given. It is recorded once it has ended."""

    __slots__ = ("_claim", "_request", "context")

    def __init__(self, claim: Span, request: Span | None) -> None:
        self._claim: Final = claim
        self._request: Final = request
        self.context: Final = claim.context if request is None else request.context

    def conclude(self, outcome: Outcome, attempt: int, event_type: str, status: int | None) -> None:
        """`status`: of the sink's answer, if there was one."""
        reason = "" if isinstance(outcome, Delivered | Agreed) else str(outcome.reason)
        if self._request is not None:
            _conclude_request(self._request, reason, attempt, status)
        claim = self._claim
        claim.note(Attribute.EVENT_TYPE, event_type.rpartition(".")[2])
        claim.note(Attribute.ATTEMPT, attempt)
        claim.note(Attribute.OUTCOME, type(outcome).__name__.lower())
        if reason:
            claim.note(Attribute.REASON, reason)
        if isinstance(outcome, Drop | End | Refused):
            # Given up. A retry is no error yet.
            claim.note(Attribute.ERROR, reason)
            claim.fail(reason)

    def end(self) -> None:
        if self._request is not None:
            self._request.end()
        self._claim.end()


class AttemptSpans:
    """`mask`: as the log has a host. `pseudonym`: in place of an id."""

    def __init__(
        self, spans: Spans, clock: Clock, mask: Callable[[str], str], pseudonym: Callable[[str], str]
    ) -> None:
        self._spans = spans
        self._now_s = clock.monotonic
        self._mask = mask
        self._pseudonym = pseudonym

    def begin(
        self, claim: Claim, item: OutboxItem, now_ms: int, *, method: str = "", correlator: str = ""
    ) -> AttemptSpan | None:
        """None: it is not recorded. Without a method there is no request. `now_ms`: the store's time."""
        parent = trace_of(item)
        if parent is None:
            if item.kind is OutboxKind.EVENT:
                # Its request was not recorded, so neither is what follows from it.
                return None
        elif not parent.sampled:
            return None
        attributes: dict[Attribute, AttributeValue] = {
            Attribute.SYSTEM: "webrtc-events",
            Attribute.OPERATION: "claim",
            Attribute.OPERATION_TYPE: "process",
            Attribute.SUBSCRIPTION: self._pseudonym(claim.subscription_id),
        }
        span = self._spans.start(
            SPANS.CLAIM,
            parent,
            began_s=self._now_s() - (now_ms - claim.now_ms) / 1000,
            attributes=attributes,
            trace_id=_own_trace(claim, item) if parent is None else None,
        )
        if span is None:
            return None
        return AttemptSpan(span, self._request(span.context, claim, method, correlator) if method else None)

    def _request(self, parent: TraceContext, claim: Claim, method: str, correlator: str) -> Span | None:
        sink = urlsplit(host_of(claim.sink))
        attributes: dict[Attribute, AttributeValue] = {
            Attribute.METHOD: method,
            Attribute.ADDRESS: self._mask(sink.hostname or ""),
            Attribute.PORT: sink.port or 443,
            Attribute.CORRELATOR: correlator,
        }
        return self._spans.start(SPANS.NOTIFICATION, parent, name=method, attributes=attributes)


def _conclude_request(span: Span, reason: str, attempt: int, status: int | None) -> None:
    if attempt > 1:
        span.note(Attribute.RESEND, attempt - 1)
    if status is not None:
        span.note(Attribute.STATUS, status)
    if status is None or status >= _HTTP_ERROR:
        why = reason if status is None else str(status)
        span.note(Attribute.ERROR, why)
        span.fail(why)


def _own_trace(claim: Claim, item: OutboxItem) -> str:
    """Of what no gateway sent: an end, or the question to a sink. All its attempts are of one trace, by
    whatever worker they are.
    """
    name = f"{claim.subscription_id}.{item.event_number}"
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
