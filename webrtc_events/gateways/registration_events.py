"""The event that a registration has ended. Pure."""

from enum import StrEnum
from typing import Any

from webrtc_events.core.clock import format_time
from webrtc_events.core.model import EventType
from webrtc_events.gateways.call_signals import Mark

__all__ = ["RegistrationEnd", "registration_ends"]


class RegistrationEnd(StrEnum):
    """Source: network-events.yaml, NetworkRegistrationEndsData.terminationReason."""

    NETWORK_TERMINATED = "NETWORK_TERMINATED"
    REGISTRATION_EXPIRED = "REGISTRATION_EXPIRED"


def registration_ends(
    registration_id: str, reason: RegistrationEnd, description: str, mark: Mark
) -> dict[str, Any]:
    """`description` is for people. See network-events.yaml, NetworkRegistrationEnds."""
    return {
        "id": mark.event_id,
        "source": mark.source,
        "specversion": "1.0",
        "type": EventType.REGISTRATION_ENDS.value,
        "time": format_time(mark.time_ms),
        "datacontenttype": "application/json",
        "subject": registration_id,
        "data": {
            "registrationId": registration_id,
            "terminationReason": reason.value,
            "terminationDescription": description,
        },
    }
