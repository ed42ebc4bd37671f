"""Traces of recorded calls, as the store keeps them: sinks that take everything, fail, hang, and give up."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from webrtc_events.core.clock import parse_time
from webrtc_events.local.recordings import load_recording

__all__ = ["Sink", "failing", "gone", "hanging", "healthy", "played"]

Json = dict[str, Any]
Sink = Callable[[int, int], list[Json]]
"""What a sink did with an event: given its place in the call and when it was accepted, the attempts."""


def healthy(place: int, accepted_at: int) -> list[Json]:
    return [{"at": accepted_at + 9 + place % 4, "ms": 6 + place % 4, "outcome": "delivered", "http": 204}]


def failing(place: int, accepted_at: int) -> list[Json]:
    """Answers 503 to one event, twice."""
    if place != 3:
        return healthy(place, accepted_at)
    retry = {"outcome": "retry", "reason": "sink_error", "http": 503}
    return [
        {"at": accepted_at + 14, "ms": 11, **retry, "delay_ms": 1_000},
        {"at": accepted_at + 1_032, "ms": 16, **retry, "delay_ms": 2_120},
        {"at": accepted_at + 3_170, "ms": 15, "outcome": "delivered", "http": 200},
    ]


def hanging(place: int, accepted_at: int) -> list[Json]:
    """Does not answer the second event in time, and refuses connections after that."""
    if place <= 1:
        return healthy(place, accepted_at)
    if place == 2:
        return [
            {
                "at": accepted_at + 10_010,
                "ms": 10_000,
                "outcome": "retry",
                "reason": "timeout",
                "detail": "Operation timed out after 10000 milliseconds",
                "delay_ms": 1_500,
            }
        ]
    return [{"at": accepted_at + 60_000, "outcome": "drop", "reason": "too_late"}]


def gone(place: int, accepted_at: int) -> list[Json]:
    """Is there for two events, and then says that it is gone."""
    if place < 4:
        return healthy(place, accepted_at)
    if place == 4:
        return [
            {"at": accepted_at + 21, "ms": 18, "outcome": "end", "reason": "NETWORK_TERMINATED", "http": 410}
        ]
    return []


def played(name: str, sinks: Iterable[Sink] = (healthy,), *, full: bool = True) -> list[Json]:
    """The trace of a recorded call with a subscription for each sink. `full`: with what was sent."""
    entries: list[Json] = []
    events = [event for event in load_recording(name) if "mediaSessionId" in event["data"]]
    chosen = list(sinks)
    for place, event in enumerate(events):
        accepted_at = parse_time(event["time"]) + 38
        event_type = event["type"].rpartition(".")[2]
        accepted = {
            "kind": "accepted",
            "at": accepted_at,
            "session": event["data"]["mediaSessionId"],
            "id": event["id"],
            "source": event["source"],
            "time": event["time"],
            "type": event_type,
            "registration": event.get("subject"),
            "sequence": event["data"].get("sequenceNumber"),
            "data": event["data"] if full else None,
        }
        if "status" in event["data"]:
            accepted["status"] = event["data"]["status"]
        entries.append(accepted)
        # The first subscription is to the invitation, the others to what follows.
        wanted = (
            [(1, chosen[0])] if event_type == "session-invitation" else list(enumerate(chosen, start=1))[1:]
        )
        accepted["subscriptions"] = len(wanted)
        for number, sink in wanted:
            for attempt, made in enumerate(sink(place, accepted_at), start=1):
                entries.append(_attempt(event, accepted, number, attempt, made, full=full))
    entries.sort(key=lambda entry: entry["at"])
    return [{name: value for name, value in entry.items() if value is not None} for entry in entries]


def _attempt(event: Json, accepted: Json, sink: int, attempt: int, made: Json, *, full: bool) -> Json:
    subscription = f"{sink:08x}-5d1c-4bd2-9f0e-7b1f2a33c0de"
    host = ("https://app.example.com:443", "https://localhost:8443", "https://pbx.example.org:443")[sink % 3]
    identity = f"{subscription}.{accepted['sequence']}"
    body = json.dumps(
        {"id": identity, "source": "/webrtc-events", "type": event["type"], "data": event["data"]}
    )
    return {
        "kind": "attempt",
        "session": accepted["session"],
        "subscription": subscription,
        "event": identity,
        "type": accepted["type"],
        "status": accepted.get("status"),
        "sequence": accepted["sequence"],
        "accepted_at": accepted["at"],
        "attempt": attempt,
        "host": host,
        "client": "softphone",
        "sink": f"{host}/hooks/tel-12025550143" if full else None,
        "body": body if full else None,
        **made,
    }
