"""Requests of clients about subscriptions, and who sends them."""

from typing import Any

from webrtc_events.core.event_names import wire_type
from webrtc_events.core.model import Caller, ContractVersion, EventType

SCOPES = frozenset(f"webrtc-events:{event_type}:create" for event_type in EventType)
APP = Caller("app", None, SCOPES)
DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
# Those of version 0.3.
DEVICE_SCOPES = frozenset(
    f"webrtc-events-subscriptions:{wire_type(ContractVersion.V0_3, event_type)}:create"
    for event_type in EventType
)
DEVICE_APP = Caller("app", None, DEVICE_SCOPES)


def request(event_type: str = EventType.SESSION_INVITATION, **changes: Any) -> Any:
    detail = {"registrationId": "r1", "deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}
    detail |= changes.pop("detail", {})
    config = {"subscriptionDetail": detail} | changes.pop("config", {})
    return {
        "protocol": "HTTP",
        "sink": "https://sink.example.com/inbox",
        "types": [str(event_type)],
        "config": config,
    } | changes


def credential(expires: str = "2999-01-01T00:00:00Z", token: str = "s3cret") -> dict[str, str]:
    return {
        "credentialType": "ACCESSTOKEN",
        "accessToken": token,
        "accessTokenExpiresUtc": expires,
        "accessTokenType": "bearer",
    }


def device_request(
    *types: EventType, device: str = DEVICE, config: dict[str, Any] | None = None, **changes: Any
) -> Any:
    """Of version 0.3."""
    wanted = types or (EventType.SESSION_INVITATION,)
    return {
        "protocol": "HTTP",
        "sink": "https://sink.example.com/inbox",
        "types": [wire_type(ContractVersion.V0_3, event_type) for event_type in wanted],
        "config": {"subscriptionDetail": {"deviceId": device}, **(config or {})},
    } | changes
