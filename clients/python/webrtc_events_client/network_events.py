"""The gateway's side of the service: events of the network, registrations, and what became of events.

Source: network-events.yaml, components.schemas. Times are aware `datetime` values; None stands for a member
that is absent.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from webrtc_events_client.subscriptions import SubscriptionType

__all__ = ["EventResult", "EventResultStatus", "NetworkEvent", "Registration", "stable_id"]


class NetworkEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CloudEvent for the service.

    `source` and `id` together identify it: sent again, it changes nothing. So keep the value, or make `id`
    with `stable_id`. `subject` is the registration; session-invitation needs it. `data` is the public
    event's, without `subscriptionId`.
    """

    id: str
    source: str
    type: SubscriptionType
    time: datetime
    data: Mapping[str, Any]
    subject: str | None = None
    # As a factory: a plain default would be left out of the JSON.
    specversion: Literal["1.0"] = msgspec.field(default_factory=lambda: "1.0")
    datacontenttype: Literal["application/json"] = "application/json"

    @classmethod
    def parse(cls, text: str | bytes) -> "NetworkEvent":
        """An event that is written down in JSON, such as a line of a recorded call.

        Raises:
            ValueError: it is none; the message names the place.
        """
        return msgspec.json.decode(text, type=cls)


class EventResultStatus(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class EventResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event. `subscriptions`: how many it matched. `message`: what is wrong with a
    rejected one.
    """

    status: EventResultStatus
    subscriptions: int
    id: str | None = None
    message: str | None = None


class Registration(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Whose a registration is. `owner` is the application's client id, `subject` its user.

    With `expires_at` the registration ends then, unless it is put again.
    """

    device_id: str
    owner: str
    subject: str | None = None
    expires_at: datetime | None = None


def stable_id(*parts: str | int) -> str:
    """An event id that the same parts give again, also after a restart: a UUID of version 5.

    For example the call's own id, its leg, and the number of the event in it.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(parts)))
