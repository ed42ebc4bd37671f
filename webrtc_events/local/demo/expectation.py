"""Compares what the demo's subscriptions receive with what the recording says they must receive."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.clock import parse_time
from webrtc_events.core.model import EventType, TerminationReason
from webrtc_events.local.sink.received import Received

__all__ = ["Expected", "faults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One subscription's notifications: `events` as the network sent them, in order, then one end."""

    type: EventType
    subscription: str
    path: str
    events: tuple[dict[str, Any], ...]
    reason: TerminationReason

    @property
    def count(self) -> int:
        return len(self.events) + 1


def faults(expected: Expected, received: Sequence[Received]) -> list[str]:
    """The differences between what must come and what came; an empty list means that all is well."""
    name = expected.type.rpartition(".")[2]
    found = [
        f"{name}: notification {notification.number} is invalid: {notification.fault}"
        for notification in received
        if notification.fault
    ]
    found += [
        f"{name}: {_event(notification).get('id')} came again"
        for notification in received
        if notification.repeated
    ]
    for place, (event, notification) in enumerate(zip(expected.events, received, strict=False), start=1):
        found += [
            f"{name}: notification {place}: {fault}" for fault in _event_faults(event, expected, notification)
        ]
    if len(received) != expected.count:
        found.append(f"{name}: {len(received)} notifications came, {expected.count} were expected")
    if len(received) >= expected.count:
        fault = _end_fault(expected, received[expected.count - 1])
        found += [f"{name}: {fault}"] if fault else []
    return found


def _event_faults(event: dict[str, Any], expected: Expected, received: Received) -> list[str]:
    got = _event(received)
    data = event["data"] | {"subscriptionId": expected.subscription}
    differing = sorted(
        key for key in data.keys() | received.data.keys() if data.get(key) != received.data.get(key)
    )
    found = []
    if got.get("type") != event["type"]:
        found.append(f"the type is {got.get('type')}, not {event['type']}")
    elif differing:
        found.append(f"{', '.join(differing)} in its data differ from what the network sent")
    if got.get("type") == event["type"] and parse_time(got["time"]) != parse_time(event["time"]):
        found.append(f"its time is {got['time']}, not {event['time']}")
    return found


def _end_fault(expected: Expected, received: Received) -> str | None:
    if _event(received).get("type") != EventType.SUBSCRIPTION_ENDED:
        return f"the last notification is {received.type}, not subscription-ended"
    if received.data.get("subscriptionId") != expected.subscription:
        return f"the end is that of {received.data.get('subscriptionId')}, not of {expected.subscription}"
    reason = received.data.get("terminationReason")
    return None if reason == expected.reason else f"it ended with {reason}, not with {expected.reason}"


def _event(received: Received) -> dict[str, Any]:
    return received.event or {}
