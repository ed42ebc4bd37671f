"""What an adapter wants done at the service, in order: the requests that its queue holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["DeleteRegistration", "NetworkRequest", "PublishEvent", "PutRegistration"]


@dataclass(frozen=True, slots=True)
class PutRegistration:
    """PUT /registrations/{registration_id}. `body`: network-events.yaml, Registration."""

    registration_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteRegistration:
    """DELETE /registrations/{registration_id}: nobody is notified."""

    registration_id: str


@dataclass(frozen=True, slots=True)
class PublishEvent:
    """One event of POST /events: network-events.yaml, NetworkEvent.

    Its `source` and `id` come from the gateway's own identifiers, so that a repeat changes nothing.
    """

    event: Mapping[str, Any]


NetworkRequest: TypeAlias = PutRegistration | DeleteRegistration | PublishEvent
