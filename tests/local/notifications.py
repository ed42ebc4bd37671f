"""What a service sends to a sink, and the sink as a process."""

import json
import uuid
from typing import Any

from tests.harness.commands import Running
from webrtc_events.local.demo.http_client import HttpClient

__all__ = ["MEDIA_TYPE", "notification", "received", "sink_url", "untrusted_url"]

MEDIA_TYPE = {"Content-Type": "application/cloudevents+json", "x-correlator": "c-1"}


def notification(**changes: Any) -> bytes:
    """A valid subscription-ended with a new id."""
    event = {
        "id": str(uuid.uuid4()),
        "source": "/webrtc-events",
        "specversion": "1.0",
        "type": "org.camaraproject.webrtc-events.v0.subscription-ended",
        "time": "2026-01-01T00:00:00Z",
        "data": {"subscriptionId": "s-1", "terminationReason": "SUBSCRIPTION_EXPIRED"},
    }
    return json.dumps(event | changes).encode()


def received(client: HttpClient, url: str, path: str) -> list[dict[str, Any]]:
    """What the inbox has of the paths that begin with `path`."""
    items: list[dict[str, Any]] = client.expect({200}, "GET", f"{url}/_inbox", params={"path": path}).json()
    return items


def sink_url(sink: Running) -> str:
    """Of a `sink` that has said where it listens."""
    return sink.output.split("listens on ")[1].split("/ ")[0]


def untrusted_url(sink: Running) -> str:
    return sink.output.split("Its certificate on ")[1].split("/ ")[0]
