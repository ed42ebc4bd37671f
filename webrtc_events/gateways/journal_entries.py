"""The entries of an adapter's queue, and how a request is written into its file."""

import json
from dataclasses import dataclass
from typing import Any

from webrtc_events.gateways.network_requests import (
    DeleteRegistration,
    NetworkRequest,
    PublishEvent,
    PutRegistration,
)

__all__ = ["Entry", "Rejected", "decoded", "encoded"]


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
