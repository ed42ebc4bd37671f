"""The request that carries a notification: its body is a CloudEvent that is valid by its contract."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import msgspec

from webrtc_events.core.credentials import CredentialBox, SealError
from webrtc_events.core.model import (
    Claim,
    Credential,
    EventType,
    OutboxItem,
    OutboxKind,
)
from webrtc_events.core.outcomes import Drop, Outcome, Retry, SinkRequest
from webrtc_events.core.random_uuids import random_uuids
from webrtc_events.core.settings import Settings
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.delivery.attempt_spans import AttemptSpan, AttemptSpans
from webrtc_events.delivery.cloud_event import EventFormats, build_event
from webrtc_events.delivery.sink_validation import origin_header
from webrtc_events.sinks.signing import RequestSigner, UnsignableError
from webrtc_events.sinks.token_source import TokenSource
from webrtc_events.store.outbox_entries import trace_of

__all__ = [
    "Notification",
    "NotificationSettings",
    "NotificationWriter",
    "Skipped",
    "StoredNotification",
    "type_of",
]

log = logging.getLogger(__name__)

# A credential that cannot be opened here may be opened by a process with the right key, and a
# contract version that is not known here is known to a newer process.
_ELSEWHERE_RETRY_MS: Final = 30_000
_HANDSHAKE: Final = "handshake"
_CONTENT_TYPE: Final = ("content-type", "application/cloudevents+json")
# In 3.11 a member of an enumeration is looked up by a function.
_QUESTION: Final = OutboxKind.HANDSHAKE
_NO_HEADERS: Final[dict[str, str]] = {}
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """What a deployment sets of notifications: their `source`, the keys that open sealed credentials."""

    source: str
    secret_keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.source, settings.secret_key)


class Notification:
    """What is to be sent; `type` is the CloudEvent's, or `handshake`, `correlator` its x-correlator.

    `span`: of the attempt, if it is recorded.
    """

    __slots__ = ("correlator", "request", "span", "type")

    def __init__(
        self, request: SinkRequest, type_: str, correlator: str, span: AttemptSpan | None = None
    ) -> None:
        self.request: Final = request
        self.type: Final = type_
        self.correlator: Final = correlator
        self.span: Final = span


@dataclass(frozen=True, slots=True)
class StoredNotification:
    """What is to be written into a channel's log; `type` is the CloudEvent's, `body` its JSON in one line."""

    type: str
    body: bytes
    correlator: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """What becomes of an item that is not POSTed. No outcome: it goes back, to be claimed again.

    `type` is the CloudEvent's, if it is known.
    """

    outcome: Outcome | None
    type: str = ""


class NotificationWriter:
    """Writes notifications of every contract version, with the sink's credential; `signer` signs them.

    The sink is given the trace that the event belongs to. `spans` records its attempts. `tokens`: where those
    are had that a credential only names; None: nowhere.
    """

    def __init__(
        self,
        formats: EventFormats,
        settings: NotificationSettings,
        signer: RequestSigner | None = None,
        spans: AttemptSpans | None = None,
        tokens: TokenSource | None = None,
    ) -> None:
        self.spans: Final = spans
        self.tokens: Final = tokens
        self._formats = formats
        self._signer = signer
        self._correlators = random_uuids()
        self._source = settings.source
        self._box = CredentialBox(settings.secret_keys)

    def write(
        self, claim: Claim, item: OutboxItem, now_ms: int, token: str | None = None
    ) -> Notification | Skipped:
        """The notification of an item of a claim, or the question. `now_ms` is the store's time.

        `token`: the one that was fetched for the sink, if it has such a credential.
        """
        if item.kind is _QUESTION:
            return self._question(claim, item, now_ms, token)
        event = self._event(claim, item, now_ms)
        if isinstance(event, Skipped):
            return event
        event_type = event["type"]
        authorization = self._authorization(claim, item, now_ms, token)
        if not isinstance(authorization, dict):
            return Skipped(authorization, event_type)
        correlator = next(self._correlators)
        body = _encode(event)
        span = self._span(claim, item, now_ms, "POST", correlator)
        trace = trace_of(item) if span is None else span.context
        if self._signer is None and trace is None and not (claim.origin or authorization or claim.headers):
            lines: tuple[tuple[str, str], ...] = (_CONTENT_TYPE, ("x-correlator", correlator))
        else:
            headers = dict((_CONTENT_TYPE, ("x-correlator", correlator)))
            if self._signer is not None:
                try:
                    headers |= self._signer.sign("POST", claim.sink, headers, body)
                except UnsignableError as error:
                    return Skipped(Drop("unsendable", str(error)), event_type)
            if claim.origin:
                headers |= origin_header(claim.origin)
            headers |= authorization | _trace_headers(trace)
            lines = _lines(headers, claim)
        request = SinkRequest(claim.sink, lines, body, "POST", claim.client)
        return Notification(request, event_type, correlator, span)

    def stored(self, claim: Claim, item: OutboxItem, now_ms: int) -> StoredNotification | Skipped:
        """The same for a sink that is a channel: nothing is sent, so there are no headers."""
        event = self._event(claim, item, now_ms)
        if isinstance(event, Skipped):
            return event
        return StoredNotification(event["type"], _encode(event), next(self._correlators))

    def _event(self, claim: Claim, item: OutboxItem, now_ms: int) -> dict[str, Any] | Skipped:
        """The CloudEvent of an item, valid by its contract."""
        event_format = self._formats.get(claim.contract, claim.client)
        if event_format is None:
            return _unknown_contract(claim, item, now_ms)
        try:
            event = build_event(item, claim.subscription_id, event_format, source=self._source)
        except (KeyError, RecursionError, TypeError, ValueError, msgspec.DecodeError) as error:
            # Not written by this service: it would come back with every claim. The class alone: the
            # text may repeat what is in the entry, which the dead letter keeps.
            return Skipped(Drop("unreadable_entry", type(error).__name__))
        event_type = event["type"]
        if now_ms >= item.deadline_ms:
            return Skipped(Drop("deadline_exceeded"), event_type)
        fault = event_format.validator.first_fault(event)
        if fault is not None:
            event, fault = event_format.mended(event, fault)
        if fault is not None:
            return Skipped(Drop("invalid_event", f"{fault.path}: {fault.message}"), event_type)
        return event

    def _question(
        self, claim: Claim, item: OutboxItem, now_ms: int, token: str | None
    ) -> Notification | Skipped:
        """Does the sink agree? Asked with the headers of its notifications: they may be needed to get in."""
        if now_ms >= item.deadline_ms:
            return Skipped(Drop("deadline_exceeded"), _HANDSHAKE)
        authorization = self._authorization(claim, item, now_ms, token)
        if not isinstance(authorization, dict):
            return Skipped(authorization, _HANDSHAKE)
        correlator = next(self._correlators)
        span = self._span(claim, item, now_ms, "OPTIONS", correlator)
        headers = {"x-correlator": correlator} | origin_header(claim.origin) | authorization
        headers |= _trace_headers(None if span is None else span.context)
        request = SinkRequest(claim.sink, _lines(headers, claim), b"", "OPTIONS", claim.client)
        return Notification(request, _HANDSHAKE, correlator, span)

    def _span(
        self, claim: Claim, item: OutboxItem, now_ms: int, method: str, correlator: str
    ) -> AttemptSpan | None:
        """Of the attempt, if it is recorded."""
        if self.spans is None:
            return None
        return self.spans.begin(claim, item, now_ms, method=method, correlator=correlator)

    def _authorization(
        self, claim: Claim, item: OutboxItem, now_ms: int, token: str | None
    ) -> dict[str, str] | Outcome | None:
        """The sink's credential as a header, if it has one; else as `Skipped.outcome`."""
        if claim.credential is None:
            return _NO_HEADERS
        if token is not None:
            return {"authorization": f"Bearer {token}"}
        try:
            credential = self._box.open(claim.credential, claim.subscription_id)
        except SealError:
            log.exception("credential of subscription=%s cannot be opened", claim.subscription_id)
            return Retry(min(_ELSEWHERE_RETRY_MS, item.deadline_ms - now_ms), "credential_unreadable")
        if not isinstance(credential, Credential):
            # Without a token that may be sent: the next claim has one.
            return None
        if claim.now_ms >= credential.expires_at_ms:
            # Nothing leaves with an expired token, nor without the one that is due.
            return Drop("access_token_expired")
        if now_ms >= credential.expires_at_ms:
            # It expired since the claim, and may have been renewed: the next claim shows.
            return None
        return {"authorization": f"Bearer {credential.access_token}"}


def type_of(item: OutboxItem) -> str:
    """The type of an event that is not written; '' where it cannot be read."""
    if item.kind is _QUESTION:
        return _HANDSHAKE
    if item.end:
        return EventType.SUBSCRIPTION_ENDED.value
    return item.payload_type


def _trace_headers(trace: TraceContext | None) -> dict[str, str]:
    """Tell the sink of the trace."""
    return _NO_HEADERS if trace is None else dict(trace.headers())


def _lines(headers: Mapping[str, str], claim: Claim) -> tuple[tuple[str, str], ...]:
    """With the subscriber's headers. It may have set one that the service has claimed since."""
    if not claim.headers:
        return tuple(headers.items())
    subscribers = ((name, value) for name, value in claim.headers.items() if name.lower() not in headers)
    return (*headers.items(), *subscribers)


def _unknown_contract(claim: Claim, item: OutboxItem, now_ms: int) -> Skipped:
    if now_ms >= item.deadline_ms:
        return Skipped(Drop("deadline_exceeded", "contract_unknown"))
    log.error("contract %r of subscription=%s is not known", claim.contract, claim.subscription_id)
    return Skipped(Retry(min(_ELSEWHERE_RETRY_MS, item.deadline_ms - now_ms), "contract_unknown"))
