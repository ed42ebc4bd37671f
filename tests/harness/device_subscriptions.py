"""Requests of the contract to come, 0.3: its paths, names and scopes, and a subscription to a device."""

from collections.abc import Sequence
from typing import Any

__all__ = ["BASE_PATH", "KINDS", "PREFIX", "SCOPES", "SUBSCRIPTIONS", "request_for", "wire_types"]

BASE_PATH = "/webrtc-events-subscriptions/v0.3rc1"
SUBSCRIPTIONS = f"{BASE_PATH}/subscriptions"
PREFIX = "org.camaraproject.webrtc-events-subscriptions.v0."
KINDS = ("session-invitation", "session-status", "registration-ends")
SCOPES = " ".join(
    f"webrtc-events-subscriptions:{what}"
    for what in (*(f"{PREFIX}{kind}:create" for kind in KINDS), "read", "update", "delete")
)


def wire_types(kinds: Sequence[str]) -> list[str]:
    return [PREFIX + kind for kind in kinds]


def request_for(device: str, sink: str, kinds: Sequence[str] = KINDS, **config: Any) -> dict[str, Any]:
    """The body of a create; `config` is what it has beside the device."""
    return {
        "protocol": "HTTP",
        "sink": sink,
        "types": wire_types(kinds),
        "config": {"subscriptionDetail": {"deviceId": device}, **config},
    }
