"""The entries of an adapter's queue, and how a request is written into its file."""

import json
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.model import EventType
from webrtc_events.gateways.network_requests import (
    DeleteRegistration,
    NetworkRequest,
    PublishEvent,
    PutRegistration,
)

__all__ = ["Entry", "Rejected", "decoded", "encoded", "registration_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """`position` orders the queue; `size` is in bytes, as the request is written."""

    position: int
    request: NetworkRequest
    queued_ms: int
    size: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """What the service will not take, and why."""

    entry: Entry
    reason: str


def encoded(request: NetworkRequest) -> bytes:
    match request:
        case PublishEvent(event=event):
            written: list[Any] = ["event", event]
        case PutRegistration(registration_id=registration_id, body=body):
            written = ["put", registration_id, body]
        case DeleteRegistration(registration_id=registration_id):
            written = ["delete", registration_id]
    return json.dumps(written, separators=(",", ":")).encode()


def registration_of(request: NetworkRequest) -> str | None:
    """The registration that a request makes known, or whose end it is; None for all others."""
    match request:
        case (
            PutRegistration(registration_id=registration_id)
            | DeleteRegistration(registration_id=registration_id)
        ):
            return registration_id
        case PublishEvent(event=event) if event.get("type") == EventType.REGISTRATION_ENDS:
            return str(event["data"]["registrationId"])
    return None


def decoded(written: bytes) -> NetworkRequest:
    match json.loads(written):
        case ["event", event]:
            return PublishEvent(event)
        case ["put", registration_id, body]:
            return PutRegistration(registration_id, body)
        case ["delete", registration_id]:
            return DeleteRegistration(registration_id)
        case _:
            raise ValueError("no request of a queue")
