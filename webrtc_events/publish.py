"""What the gateway tells: events to be matched and appended, registrations that come and go."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from webrtc_events.contract import Contract
from webrtc_events.errors import NotFound
from webrtc_events.keys import Partition, partition_of
from webrtc_events.model import EventType, NetworkEvent, Registration
from webrtc_events.network_types import EventResult, RegistrationResource
from webrtc_events.network_types import Registration as RegistrationBody
from webrtc_events.store import AppendResult, Store

__all__ = ["Publisher"]

# Source: network-events.yaml, EventResult.id. A rejected event's own id may be anything.
_LONGEST_ID = 256


class Publisher:
    """Accepts network events: an event is accepted once every matching outbox holds it."""

    def __init__(self, store: Store, contract: Contract) -> None:
        self._store = store
        self._validator = contract.validator("NetworkEvent")

    def publish(self, events: Sequence[Any]) -> list[EventResult]:
        """One result for each event, in order; a bad event never stops the good ones.

        Raises:
            Unavailable: some outbox may lack some event. Publishing all again completes it
                and changes nothing else.
        """
        read = [self._read(each) for each in events]
        targets = self._targets([each for each in read if isinstance(each, NetworkEvent)])
        batches: dict[int, list[NetworkEvent]] = defaultdict(list)
        for event, partitions in targets:
            for partition in partitions:
                batches[partition.number].append(event)
        answers = {number: iter(results) for number, results in self._store.append(batches).items()}
        accepted = iter(
            [
                _accepted(event, [next(answers[each.number]) for each in partitions])
                for event, partitions in targets
            ]
        )
        return [next(accepted) if isinstance(each, NetworkEvent) else each for each in read]

    def _read(self, raw: Any) -> NetworkEvent | EventResult:
        fault = self._validator.first_fault(raw)
        if fault is not None:
            return _rejected(raw, f"{fault.path}: {fault.message}")
        event_type, data, subject = EventType(raw["type"]), raw["data"], raw.get("subject")
        if event_type is EventType.REGISTRATION_ENDS and subject not in (None, data["registrationId"]):
            return _rejected(raw, "$.subject: is not data.registrationId")
        registration = data["registrationId"] if event_type is EventType.REGISTRATION_ENDS else subject
        return NetworkEvent(
            id=raw["id"],
            source=raw["source"],
            type=event_type,
            registration=registration,
            session=data["mediaSessionId"] if event_type is EventType.SESSION_STATUS else None,
            payload=json.dumps(
                {"type": event_type, "time": raw["time"], "data": data}, separators=(",", ":")
            ),
        )

    def _targets(self, events: Sequence[NetworkEvent]) -> list[tuple[NetworkEvent, list[Partition]]]:
        """Where each event may match: its registration's partition, or all that know its session."""
        lookups = [each.session for each in events if each.session is not None and each.registration is None]
        found = dict(zip(lookups, self._store.session_partitions(lookups), strict=True))
        return [
            (each, found[each.session or ""])
            if each.registration is None
            else (each, [partition_of(each.registration, self._store.partitions)])
            for each in events
        ]

    def put_registration(
        self, registration_id: str, body: RegistrationBody
    ) -> tuple[RegistrationResource, bool]:
        """Stores a registration; returns the resource and whether it is new."""
        created = self._store.put_registration(
            Registration(
                id=registration_id,
                device=body["deviceId"],
                owner=body["owner"],
                subject=body.get("subject"),
                expires_at=body.get("expiresAt"),
            )
        )
        return {**body, "registrationId": registration_id}, created

    def delete_registration(self, registration_id: str) -> None:
        """
        Raises:
            NotFound: the registration was not known.
        """
        if not self._store.delete_registration(registration_id):
            raise NotFound


def _accepted(event: NetworkEvent, results: Sequence[AppendResult]) -> EventResult:
    """A duplicate only if every partition has seen the event before."""
    seen = bool(results) and not any(each.new for each in results)
    return {
        "id": event.id,
        "status": "duplicate" if seen else "accepted",
        "subscriptions": sum(each.subscriptions for each in results),
    }


def _rejected(raw: Any, message: str) -> EventResult:
    result: EventResult = {"status": "rejected", "subscriptions": 0, "message": message}
    event_id = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(event_id, str) and 1 <= len(event_id) <= _LONGEST_ID:
        result["id"] = event_id
    return result
