"""The entries of an adapter's queue, and how a request is written into its file."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from webrtc_events.core.model import EventType
from webrtc_events.gateways.network_requests import (
    DeleteRegistration,
    NetworkRequest,
    PublishEvent,
    PutRegistration,
)

__all__ = ["Entry", "Rejected", "decoded", "encoded", "registration_of", "session_of"]


_EVENT: Final = b'["event",'


@dataclass(frozen=True)
class Entry:
    """`position` orders the queue; `written` is the request in its file, read when somebody asks for it.

    `follows`: something before it in its session is set aside.
    """

    position: int
    written: bytes
    queued_ms: int
    follows: bool = False

    @property
    def size(self) -> int:
        return len(self.written)

    @property
    def is_event(self) -> bool:
        return self.written.startswith(_EVENT)

    @cached_property
    def request(self) -> NetworkRequest:
        return decoded(self.written)


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


def session_of(request: NetworkRequest) -> str:
    """The media session of an event; empty: it is of none, so nothing must follow it."""
    match request:
        case PublishEvent(event={"data": {"mediaSessionId": str(session)}}):
            return session
    return ""


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
