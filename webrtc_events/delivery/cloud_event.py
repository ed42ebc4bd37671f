"""The CloudEvent of an outbox entry, in the format of its subscription's contract version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import msgspec

from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.contract.faults import Fault
from webrtc_events.contract.openapi import Contract
from webrtc_events.contract.validators import Validator
from webrtc_events.core.client_choice import ClientChoice
from webrtc_events.core.clock import format_time
from webrtc_events.core.event_names import wire_type
from webrtc_events.core.model import ContractVersion, EventType, OutboxItem, OutboxKind, TerminationReason
from webrtc_events.core.settings import Settings

__all__ = ["EventFormat", "EventFormats", "build_event"]

_decode: Final = msgspec.json.Decoder().decode
# In 3.11 a member of an enumeration is looked up by a function.
_END: Final = OutboxKind.END
_SESSION_STATUS: Final = EventType.SESSION_STATUS.value
_V0_2: Final = ContractVersion.V0_2.value
_LOCATION: Final = "locationDetails"
_NAMES_OF_V0_3: Final = {
    event_type.value: wire_type(ContractVersion.V0_3, event_type) for event_type in EventType
}
# Texts for people are cut to it. Source: webrtc-events-subscriptions.yaml, MediaSession and RegistrationEnds.
_MAX_CHARACTERS: Final = {
    "originatorName": 256,
    "receiverName": 256,
    "reason": 2048,
    "terminationDescription": 2048,
}
_MAX_SEQUENCE: Final = 2**31 - 1
_ENDED: Final = {
    TerminationReason.MAX_EVENTS_REACHED: "The maximum number of events was reached.",
    TerminationReason.NETWORK_TERMINATED: "The network ended the subscription.",
    TerminationReason.SUBSCRIPTION_EXPIRED: "The subscription's time is over.",
    TerminationReason.ACCESS_TOKEN_EXPIRED: "The sink's access token has expired.",
    TerminationReason.SUBSCRIPTION_DELETED: "The subscription was deleted by its owner.",
}


@dataclass(frozen=True, slots=True)
class EventFormat:
    """How a CloudEvent of a contract version is written, and the schema that it follows.

    Unless `strict`, a session-status carries mediaSessionId and status on the event as well as in `data`, as
    version 0.2 has it. `names`: what each event type is called there, if not as it is inside. `located`:
    `data.locationDetails` is a part of the contract, and is not left out. `bounded`: so are bounds, which
    gateways need not keep.
    """

    validator: Validator
    strict: bool
    names: Mapping[str, str] = field(default_factory=dict)
    located: bool = False
    bounded: bool = False

    def mended(self, event: dict[str, Any], fault: Fault) -> tuple[dict[str, Any], Fault | None]:
        """An event with a fault as it is sent all the same, and what is wrong with it still, if anything is.

        A caller whose name is longer than the version allows is heard of.
        """
        if not self.bounded:
            return event, fault
        event = {**event, "data": _within_bounds(event["data"])}
        return event, self.validator.first_fault(event)


@dataclass(frozen=True, slots=True)
class EventFormats:
    """The formats of notifications, by the contract version and the client of their subscription.

    `by_contract` has every version, served or not: subscriptions outlive a setting. `strict` is
    another format of version 0.2, which the clients in `strict_clients` get.
    """

    by_contract: Mapping[str, EventFormat]
    strict: EventFormat
    strict_clients: ClientChoice

    @classmethod
    def of(cls, settings: Settings) -> Self:
        def format_of(contract: Contract, *, strict: bool, **more: Any) -> EventFormat:
            return EventFormat(contract.validator("CloudEvent"), strict, **more)

        strict = format_of(load_public(strict_cloudevents=True), strict=True)
        return cls(
            {
                ContractVersion.V0_2: format_of(load_public(), strict=False),
                ContractVersion.NEXT: strict,
                ContractVersion.V0_3: format_of(
                    load_subscriptions(), strict=True, names=_NAMES_OF_V0_3, located=True, bounded=True
                ),
            },
            strict,
            settings.strict_cloudevents,
        )

    def get(self, contract: str, client: str) -> EventFormat | None:
        """The format of a notification that is sent now; None: the version is not known here."""
        if contract == _V0_2 and client in self.strict_clients:
            return self.strict
        return self.by_contract.get(contract)


def build_event(
    item: OutboxItem, subscription_id: str, event_format: EventFormat, *, source: str
) -> dict[str, Any]:
    """The CloudEvent of an outbox item. Source: CloudEvent and its children, in each contract."""
    if item.kind is _END:
        reason = TerminationReason(item.payload)
        content: dict[str, Any] = {
            "type": EventType.SUBSCRIPTION_ENDED.value,
            "time": format_time(item.accepted_ms),
            "data": {"terminationReason": reason.value, "terminationDescription": _ENDED[reason]},
        }
    else:
        content = _decode(item.payload)
    data = content["data"]
    if _LOCATION in data and not event_format.located:
        del data[_LOCATION]
    data["subscriptionId"] = subscription_id
    if item.sequence:
        data["sequenceNumber"] = item.sequence
    event_type = content["type"]
    event = {
        "id": f"{subscription_id}.{item.event_number}",
        "source": source,
        "specversion": "1.0",
        "type": event_format.names.get(event_type, event_type),
        "time": content["time"],
        "datacontenttype": "application/json",
        "data": data,
    }
    if event_type == _SESSION_STATUS and not event_format.strict:
        for name in ("mediaSessionId", "status"):
            if name in data:
                event[name] = data[name]
    return event


def _within_bounds(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only breaks bounds: texts for people are cut, and a number out of range is left out."""
    kept = dict(data)
    for name, length in _MAX_CHARACTERS.items():
        if isinstance(kept.get(name), str):
            kept[name] = kept[name][:length]
    number = kept.get("sequenceNumber")
    if isinstance(number, int | float) and not 1 <= number <= _MAX_SEQUENCE:
        del kept["sequenceNumber"]
    return kept
