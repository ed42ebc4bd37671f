"""What a client and a gateway ask of the API."""

import json
import uuid
from functools import cache
from typing import Any

from harness.job import TYPE, Job

__all__ = [
    "BATCH",
    "DEVICE_SUBSCRIPTIONS",
    "EVENTS",
    "ONE",
    "REGISTRATIONS",
    "SUBSCRIPTIONS",
    "device",
    "device_request",
    "network_event",
    "subscription_request",
]

EVENTS = "/network/v0/events"
REGISTRATIONS = "/network/v0/registrations"
SUBSCRIPTIONS = "/webrtc-events/v0.2/subscriptions"
# Of the contract to come.
DEVICE_SUBSCRIPTIONS = "/webrtc-events-subscriptions/v0.3rc1/subscriptions"
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
ONE = {"Content-Type": "application/cloudevents+json"}
# Stands for the number in a template.
_NUMBER = "987654321"


def network_event(job: Job, number: int) -> str:
    """Event `number` of the gateway; it goes to one of the targets, in turns."""
    return _template(job, number % job.targets).replace(_NUMBER, str(number))


@cache
def _template(job: Job, target: int) -> str:
    """Written once: a gateway that writes each anew takes as much of a core as the API."""
    event = {
        "id": f"event-{_NUMBER}",
        "source": "/bench",
        "specversion": "1.0",
        "type": TYPE,
        "time": "2026-03-10T09:00:00.000Z",
        "subject": f"registration-{target}",
        "data": job.data(target, int(_NUMBER)),
    }
    return json.dumps(event, separators=(",", ":"))


def subscription_request(name: str, sink: str = "https://127.0.0.1:9443/inbox") -> dict[str, Any]:
    """For the session that `name` names: a target's number, or anything."""
    details = {"registrationId": f"registration-{name}", "mediaSessionId": f"session-{name}"}
    config = {"subscriptionDetail": details}
    return {"protocol": "HTTP", "sink": sink, "types": [TYPE], "config": config}


def device(number: int) -> str:
    """Of the registration with that number, and of no registration beyond the last."""
    return str(uuid.UUID(int=number))


def device_request(number: int, sink: str = "https://127.0.0.1:9443/inbox") -> dict[str, Any]:
    """For whatever happens to the sessions of a device."""
    wire_type = TYPE.replace("webrtc-events", "webrtc-events-subscriptions")
    config = {"subscriptionDetail": {"deviceId": device(number)}}
    return {"protocol": "HTTP", "sink": sink, "types": [wire_type], "config": config}
