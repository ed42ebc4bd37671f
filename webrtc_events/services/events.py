"""What the gateway tells: events to be matched and appended, registrations that come and go."""

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from webrtc_events.contract.faults import summary
from webrtc_events.contract.network_events_types import EventResult, RegistrationResource
from webrtc_events.contract.network_events_types import Registration as RegistrationBody
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.clock import format_time, parse_time
from webrtc_events.core.errors import InvalidArgument, NotFound
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.core.model import EventType, NetworkEvent, Registration, Status, TerminationReason
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.store import AppendResult, Store

__all__ = ["Publisher"]

log = logging.getLogger(__name__)

# Source: network-events.yaml, EventResult.id. A rejected event's own id may be anything.
_LONGEST_ID = 256
# Source: webrtc-events.yaml, MediaSession.status: after these a session has no other.
_LAST_STATUSES = frozenset(
    {"Terminated", "SessionCancelled", "Declined", "Failed", "NoAnswer", "NotReachable", "Busy"}
)


class Publisher:
    """Accepts network events: an event is accepted once every matching outbox holds it.

    `event_bytes`: how many bytes one may have as it is kept; None: any.
    """

    def __init__(self, store: Store, contract: Contract, event_bytes: int | None = None) -> None:
        self._store = store
        self._event_bytes = event_bytes
        self._validator = contract.validator("NetworkEvent")

    def publish(self, events: Sequence[Any]) -> list[EventResult]:
        """One result for each event, in order; a bad event never stops the good ones.

        Raises:
            Unavailable: some outbox may lack some event. Publishing all again completes it
                and changes nothing else.
        """
        read = [self._read(event) for event in events]
        valid = self._remembered([each for each in read if isinstance(each, NetworkEvent)])
        targets = self._targets(valid)
        batches: dict[int, list[NetworkEvent]] = defaultdict(list)
        for event, partitions in targets:
            for partition in partitions:
                batches[partition.number].append(event)
        answers = {number: iter(results) for number, results in self._store.append(batches).items()}
        accepted = iter(
            [
                _accepted(event, [next(answers[partition.number]) for partition in partitions])
                for event, partitions in targets
            ]
        )
        results = [next(accepted) if isinstance(each, NetworkEvent) else each for each in read]
        if log.isEnabledFor(logging.DEBUG):
            for raw, result in zip(events, results, strict=True):
                _log(raw, result)
        return results

    def _read(self, raw: Any) -> NetworkEvent | EventResult:
        if not self._validator.is_valid(raw):
            return _rejected(raw, summary(list(self._validator.faults(raw))))
        event_type, data, subject = EventType(raw["type"]), raw["data"], raw.get("subject")
        if event_type is EventType.REGISTRATION_ENDS and subject not in (None, data["registrationId"]):
            return _rejected(raw, "$.subject: is not data.registrationId")
        try:
            time_ms = parse_time(raw["time"])
        except ValueError:
            return _rejected(raw, "$.time: is out of range")
        payload = _payload(event_type, raw["time"], data)
        if self._event_bytes is not None and len(payload) > self._event_bytes:
            return _rejected(
                raw,
                f"$: has {len(payload)} bytes as it is kept, and an event may have {self._event_bytes} "
                "(WEBRTC_EVENTS_EVENT_BYTES)",
            )
        return NetworkEvent(
            id=raw["id"],
            source=raw["source"],
            type=event_type,
            registration=data["registrationId"] if event_type is EventType.REGISTRATION_ENDS else subject,
            session=data.get("mediaSessionId"),
            time_ms=time_ms,
            numbered="sequenceNumber" in data,
            last=data.get("status") in _LAST_STATUSES,
            payload=payload,
        )

    def _remembered(self, events: Sequence[NetworkEvent]) -> list[NetworkEvent]:
        """The events, each with the registrations that its session is then known to involve.

        State is written before anything is appended, so that a subscription made meanwhile
        finds the event in one of the two places.
        """
        known = iter(self._store.remember([event for event in events if event.session is not None]))
        return [event if event.session is None else replace(event, involved=next(known)) for event in events]

    def _targets(self, events: Sequence[NetworkEvent]) -> list[tuple[NetworkEvent, list[Partition]]]:
        """Where each event may match: its registration's partition, or all that know its session."""
        sessions = [event.session or "" for event in events if event.registration is None]
        found = dict(zip(sessions, self._store.session_partitions(sessions), strict=True))
        return [
            (event, found[event.session or ""])
            if event.registration is None
            else (event, [partition_of(event.registration, self._store.partitions)])
            for event in events
        ]

    def put_registration(
        self, registration_id: str, body: RegistrationBody
    ) -> tuple[RegistrationResource, bool]:
        """Stores a registration; returns the resource and whether it is new."""
        expires_at = body.get("expiresAt")
        registration = Registration(
            id=registration_id,
            device=body["deviceId"],
            owner=body["owner"],
            subject=body.get("subject"),
            expires_at=expires_at,
        )
        expires_at_ms = None if expires_at is None else _moment(expires_at)
        end = "" if expires_at_ms is None else _expiry_payload(registration_id, expires_at_ms)
        created = self._store.put_registration(registration, expires_at_ms=expires_at_ms, end=end)
        log.info(
            "put registration=%s device=%s owner=%s subject=%s expires_at=%s",
            PersonalData(registration_id),
            PersonalData(registration.device),
            registration.owner,
            PersonalData(registration.subject),
            expires_at,
        )
        return {**body, "registrationId": registration_id}, created

    def end_subscription(self, subscription_id: str) -> None:
        """Ends any client's subscription for the operator; what was accepted still goes out first.

        Raises:
            NotFound: there is none. One that ends already is no error, so that this can be repeated.
        """
        outcome = self._store.end(
            subscription_id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )
        if outcome == "gone":
            raise NotFound

    def delete_registration(self, registration_id: str) -> None:
        """
        Raises:
            NotFound: the registration was not known.
        """
        if not self._store.delete_registration(registration_id):
            raise NotFound
        log.info("deleted registration=%s", PersonalData(registration_id))


def _log(raw: Any, result: EventResult) -> None:
    if result["status"] == "rejected":
        log.debug("rejected event=%s: %s", result.get("id"), result.get("message"))
        return
    data = raw["data"]
    log.debug(
        "%s event=%s source=%s type=%s registration=%s session=%s status=%s "
        "originator=%s (%s) receiver=%s (%s) subscriptions=%d",
        result["status"],
        raw["id"],
        raw["source"],
        raw["type"].rpartition(".")[2],
        PersonalData(raw.get("subject") or data.get("registrationId")),
        data.get("mediaSessionId"),
        data.get("status"),
        PersonalData(data.get("originatorAddress")),
        PersonalData(data.get("originatorName")),
        PersonalData(data.get("receiverAddress")),
        PersonalData(data.get("receiverName")),
        result["subscriptions"],
    )


def _payload(event_type: EventType, time: str, data: Mapping[str, Any]) -> str:
    """In ASCII, so that a character is a byte."""
    return json.dumps({"type": event_type, "time": time, "data": data}, separators=(",", ":"))


def _expiry_payload(registration_id: str, expires_at_ms: int) -> str:
    data = {
        "registrationId": registration_id,
        "terminationReason": "REGISTRATION_EXPIRED",
        "terminationDescription": "The registration was not renewed in time.",
    }
    return _payload(EventType.REGISTRATION_ENDS, format_time(expires_at_ms), data)


def _moment(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        raise InvalidArgument("$.expiresAt is out of range") from None


def _accepted(event: NetworkEvent, results: Sequence[AppendResult]) -> EventResult:
    """A duplicate only if every partition has seen the event before."""
    seen = bool(results) and not any(result.new for result in results)
    return {
        "id": event.id,
        "status": "duplicate" if seen else "accepted",
        "subscriptions": sum(result.subscriptions for result in results),
    }


def _rejected(raw: Any, message: str) -> EventResult:
    result: EventResult = {"status": "rejected", "subscriptions": 0, "message": message}
    event_id = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(event_id, str) and 1 <= len(event_id) <= _LONGEST_ID:
        result["id"] = event_id
    return result
