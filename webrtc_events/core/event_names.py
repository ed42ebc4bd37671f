"""The names of event types on the wire, by the version of the public contract. Pure.

Inside, in the store, in events of gateways and in metrics, a type is what `EventType` says in every version.
"""

from collections.abc import Iterable
from typing import Final

from webrtc_events.core.model import ContractVersion, EventType

__all__ = ["SUBSCRIBABLE", "event_type_of", "version_name", "wire_type", "wire_types"]

_V0_3_PREFIX: Final = "org.camaraproject.webrtc-events-subscriptions.v0."
_V0_3: Final = {event_type: _V0_3_PREFIX + event_type.value.rpartition(".")[2] for event_type in EventType}
_TYPES: Final = {
    **{(ContractVersion.V0_3, name): event_type for event_type, name in _V0_3.items()},
    **{
        (contract, event_type.value): event_type
        for contract in (ContractVersion.V0_2, ContractVersion.NEXT)
        for event_type in EventType
    },
}

SUBSCRIBABLE: Final = (EventType.SESSION_INVITATION, EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS)
"""Those that a subscription may ask for. Source: SubscriptionEventType of both contracts."""


def wire_type(contract: str, event_type: EventType) -> str:
    """The name of the type in notifications, subscriptions and scopes of `contract`, a `ContractVersion`."""
    return _V0_3[event_type] if contract == ContractVersion.V0_3 else event_type.value


def wire_types(contract: str, event_types: Iterable[EventType]) -> list[str]:
    """The same of several."""
    return [wire_type(contract, event_type) for event_type in event_types]


def event_type_of(contract: str, wire: str) -> EventType:
    """
    Raises:
        ValueError: `contract` has no type of that name.
    """
    found = _TYPES.get((ContractVersion(contract), wire))
    if found is None:
        raise ValueError(wire)
    return found


def version_name(contract: str) -> str:
    """As people write it: `0.2`, `0.3`; a name that is not known stays."""
    return contract.removeprefix("v")
