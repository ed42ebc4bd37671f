"""What a notification looks like on the wire: the CloudEvent, valid by its contract, and its headers."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from webrtc_events.contract.documents import load_next, load_public
from webrtc_events.contract.openapi import Contract
from webrtc_events.contract.validators import Validator
from webrtc_events.core.client_choice import ClientChoice
from webrtc_events.core.clock import format_time
from webrtc_events.core.credentials import CredentialBox, SealError
from webrtc_events.core.model import (
    Claim,
    ContractVersion,
    Drop,
    EventType,
    OutboxItem,
    OutboxKind,
    Outcome,
    Retry,
    SinkRequest,
    TerminationReason,
)
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.sink_validation import origin_header
from webrtc_events.sinks.signatures import Signer, UnsignableError

__all__ = ["EventFormat", "EventFormats", "Notification", "NotificationWriter", "Skipped", "build_event"]

log = logging.getLogger(__name__)

# A credential that cannot be opened here may be opened by a process with the right key, and a
# contract version that is not known here is known to a newer process.
_ELSEWHERE_RETRY_MS = 30_000
_HANDSHAKE = "handshake"
_ENDED = {
    TerminationReason.MAX_EVENTS_REACHED: "The maximum number of events was reached.",
    TerminationReason.NETWORK_TERMINATED: "The network ended the subscription.",
    TerminationReason.SUBSCRIPTION_EXPIRED: "The subscription's time is over.",
    TerminationReason.ACCESS_TOKEN_EXPIRED: "The sink's access token has expired.",
    TerminationReason.SUBSCRIPTION_DELETED: "The subscription was deleted by its owner.",
}


@dataclass(frozen=True, slots=True)
class EventFormat:
    """What a notification looks like: see `build_event` for `strict`."""

    validator: Validator
    strict: bool


@dataclass(frozen=True, slots=True)
class EventFormats:
    """The forms of notifications, by the contract version and the client of their subscription.

    `by_contract` is of every version, served or not: subscriptions outlive a setting. `strict` is
    another form of version 0.2, which the clients in `strict_clients` get.
    """

    by_contract: Mapping[str, EventFormat]
    strict: EventFormat
    strict_clients: ClientChoice

    @classmethod
    def of(cls, settings: Settings) -> Self:
        def form(contract: Contract, *, strict: bool) -> EventFormat:
            return EventFormat(contract.validator("CloudEvent"), strict)

        return cls(
            {
                ContractVersion.V0_2: form(load_public(), strict=False),
                ContractVersion.NEXT: form(load_next(), strict=True),
            },
            form(load_public(strict_cloudevents=True), strict=True),
            settings.strict_cloudevents,
        )

    def get(self, contract: str, client: str) -> EventFormat | None:
        """The form that a notification has if it is sent now; None: the version is not known here."""
        if contract == ContractVersion.V0_2 and client in self.strict_clients:
            return self.strict
        return self.by_contract.get(contract)


def build_event(item: OutboxItem, subscription_id: str, *, source: str, strict: bool) -> dict[str, Any]:
    """The CloudEvent of an outbox item. Source: webrtc-events.yaml, CloudEvent and its children.

    Unless `strict`, a session-status carries mediaSessionId and status on the event as well as
    in `data`, as the contract has it.
    """
    if item.end:
        reason = TerminationReason(item.payload)
        content: dict[str, Any] = {
            "type": EventType.SUBSCRIPTION_ENDED.value,
            "time": format_time(item.accepted_ms),
            "data": {"terminationReason": reason.value, "terminationDescription": _ENDED[reason]},
        }
    else:
        content = json.loads(item.payload)
    data = {**content["data"], "subscriptionId": subscription_id}
    if item.sequence:
        data["sequenceNumber"] = item.sequence
    event = {
        "id": f"{subscription_id}.{item.event_number}",
        "source": source,
        "specversion": "1.0",
        "type": content["type"],
        "time": content["time"],
        "datacontenttype": "application/json",
        "data": data,
    }
    if content["type"] == EventType.SESSION_STATUS and not strict:
        event |= {name: data[name] for name in ("mediaSessionId", "status") if name in data}
    return event


@dataclass(frozen=True, slots=True)
class Notification:
    """What is to be sent; `type` is the CloudEvent's, or `handshake`, `correlator` its x-correlator."""

    request: SinkRequest
    type: str
    correlator: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """What becomes of an item that is not POSTed. No outcome: it goes back, to be claimed again.

    `type` is the CloudEvent's, if it can be told.
    """

    outcome: Outcome | None
    type: str = ""


class NotificationWriter:
    """Writes notifications of every contract version, with the sink's credential; `signer` signs them."""

    def __init__(self, forms: EventFormats, settings: Settings, signer: Signer | None = None) -> None:
        self._forms = forms
        self._signer = signer
        self._source = settings.source
        self._box = CredentialBox(settings.secret_key)

    def write(self, claim: Claim, item: OutboxItem, now_ms: int) -> Notification | Skipped:
        """The notification of an item of a claim, or the question. `now_ms` is the store's time."""
        if item.kind is OutboxKind.HANDSHAKE:
            return self._question(claim, item, now_ms)
        form = self._forms.get(claim.contract, claim.client)
        if form is None:
            return _unknown_contract(claim, item, now_ms)
        try:
            # Bytes that are no UTF-8 could not be sent.
            item.payload.encode()
            event = build_event(item, claim.subscription_id, source=self._source, strict=form.strict)
        except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            # Not written by this service: it would come back with every claim. The class alone: the
            # text may repeat what is in the entry, which the dead letter keeps.
            return Skipped(Drop("unreadable_entry", type(error).__name__))
        kind = event["type"]
        if now_ms >= item.deadline_ms:
            return Skipped(Drop("deadline_exceeded"), kind)
        fault = form.validator.first_fault(event)
        if fault is not None:
            return Skipped(Drop("invalid_event", f"{fault.path}: {fault.message}"), kind)
        authorization = self._authorization(claim, item, now_ms)
        if not isinstance(authorization, dict):
            return Skipped(authorization, kind)
        correlator = str(uuid4())
        headers = {"content-type": "application/cloudevents+json", "x-correlator": correlator}
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            headers |= self._signature(claim.sink, headers, body)
        except UnsignableError as error:
            return Skipped(Drop("unsendable", str(error)), kind)
        if claim.origin:
            headers |= origin_header(claim.origin)
        lines = _lines(headers | authorization, claim)
        return Notification(SinkRequest(claim.sink, lines, body, client=claim.client), kind, correlator)

    def _question(self, claim: Claim, item: OutboxItem, now_ms: int) -> Notification | Skipped:
        """Does the sink agree? Asked with the headers of its notifications: they may be needed to get in."""
        if now_ms >= item.deadline_ms:
            return Skipped(Drop("deadline_exceeded"), _HANDSHAKE)
        authorization = self._authorization(claim, item, now_ms)
        if not isinstance(authorization, dict):
            return Skipped(authorization, _HANDSHAKE)
        correlator = str(uuid4())
        headers = {"x-correlator": correlator} | origin_header(claim.origin) | authorization
        request = SinkRequest(claim.sink, _lines(headers, claim), b"", "OPTIONS", claim.client)
        return Notification(request, _HANDSHAKE, correlator)

    def _signature(self, sink: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        return {} if self._signer is None else self._signer.sign("POST", sink, headers, body)

    def _authorization(self, claim: Claim, item: OutboxItem, now_ms: int) -> dict[str, str] | Outcome | None:
        """The sink's credential as a header, if it has one; else as `Skipped.outcome`."""
        if claim.credential is None:
            return {}
        try:
            credential = self._box.open(claim.credential, claim.subscription_id)
        except SealError:
            log.exception("credential of subscription=%s cannot be opened", claim.subscription_id)
            return Retry(min(_ELSEWHERE_RETRY_MS, item.deadline_ms - now_ms), "credential_unreadable")
        if claim.now_ms >= credential.expires_at_ms:
            # Nothing leaves with an expired token, nor without the one that is due.
            return Drop("access_token_expired")
        if now_ms >= credential.expires_at_ms:
            # It expired since the claim, and may have been renewed: the next claim tells.
            return None
        return {"authorization": f"Bearer {credential.access_token}"}


def _lines(headers: Mapping[str, str], claim: Claim) -> tuple[tuple[str, str], ...]:
    """With the subscriber's. It may have subscribed when fewer headers were the service's own."""
    own = (each for each in claim.headers.items() if each[0].lower() not in headers)
    return (*headers.items(), *own)


def _unknown_contract(claim: Claim, item: OutboxItem, now_ms: int) -> Skipped:
    if now_ms >= item.deadline_ms:
        return Skipped(Drop("deadline_exceeded", "contract_unknown"))
    log.error("contract %r of subscription=%s is not known", claim.contract, claim.subscription_id)
    return Skipped(Retry(min(_ELSEWHERE_RETRY_MS, item.deadline_ms - now_ms), "contract_unknown"))
