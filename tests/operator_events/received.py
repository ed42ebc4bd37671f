"""What a sink of operators was sent, held to the contract by a validator that is not the service's."""

import json
from functools import cache
from typing import Any

from tests.harness.sinks import Received
from webrtc_events.local.sink.second_validator import SecondValidator
from webrtc_events.operator_events.cloud_events import PREFIX

__all__ = ["event_of", "kinds", "kinds_of"]


@cache
def _validator() -> SecondValidator:
    return SecondValidator.of_operator_events()


def event_of(received: Received) -> dict[str, Any]:
    """The event of a request, which is valid."""
    assert _validator().fault(received.headers, received.body) is None, received.body
    event: dict[str, Any] = json.loads(received.body)
    return event


def kinds(requests: list[Received]) -> list[str]:
    """What these say, each once, in the order in which they came first."""
    events = [event_of(received) for received in requests]
    return kinds_of(list({event["id"]: event for event in events}.values()))


def kinds_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix(PREFIX) for event in events]
