"""Requests of clients about subscriptions, and who sends them."""

from typing import Any

from webrtc_events.core.model import Caller, EventType

SCOPES = frozenset(f"webrtc-events:{event_type}:create" for event_type in EventType)
APP = Caller("app", None, SCOPES)


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
