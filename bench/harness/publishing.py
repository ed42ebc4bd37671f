"""What a client and a gateway ask of the API."""

import json
from typing import Any

from harness.job import TYPE, Job

__all__ = ["BATCH", "EVENTS", "ONE", "SUBSCRIPTIONS", "network_event", "subscription_request"]

EVENTS = "/network/v0/events"
SUBSCRIPTIONS = "/webrtc-events/v0.2/subscriptions"
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
ONE = {"Content-Type": "application/cloudevents+json"}


def network_event(job: Job, number: int) -> str:
    """Event `number` of the gateway; it goes to one of the targets, in turns."""
    target = number % job.targets
    event = {
        "id": f"event-{number}",
        "source": "/bench",
        "specversion": "1.0",
        "type": TYPE,
        "time": "2026-03-10T09:00:00.000Z",
        "subject": f"registration-{target}",
        "data": job.data(target, number),
    }
    return json.dumps(event, separators=(",", ":"))


def subscription_request(name: str, sink: str = "https://127.0.0.1:9443/inbox") -> dict[str, Any]:
    """For the session that `name` names: a target's number, or anything."""
    details = {"registrationId": f"registration-{name}", "mediaSessionId": f"session-{name}"}
    config = {"subscriptionDetail": details}
    return {"protocol": "HTTP", "sink": sink, "types": [TYPE], "config": config}
