"""What an entry of a trace holds, in full, for people: its members, session descriptions by lines, JSON."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from webrtc_events.console.ladder.entries import notification_in
from webrtc_events.console.ladder.wording import date_time, duration
from webrtc_events.core.plain_text import escaped, printable

__all__ = ["Description", "Details", "details"]

_MAX_VALUE_CHARACTERS = 2_000
_LABELS = {
    "kind": "What",
    "session": "Session",
    "id": "Event of the gateway",
    "source": "Gateway",
    "time": "Time of the gateway",
    "type": "Type",
    "registration": "Registration",
    "status": "Session status",
    "sequence": "Sequence number",
    "duplicate": "Duplicate",
    "subscriptions": "Subscriptions that get it",
    "subscription": "Subscription",
    "client": "Client",
    "event": "Notification",
    "attempt": "Attempt",
    "host": "Host",
    "sink": "Sink",
    "http": "HTTP status",
    "outcome": "Outcome",
    "reason": "Reason",
    "detail": "Detail",
    "channel": "Written into a notification channel",
    "last": "Ends the subscription",
    "count": "Entries that are missing",
}
_DURATIONS = {"ms": "Request took", "delay_ms": "Next attempt after"}
_MOMENTS = {"at": "At", "accepted_at": "Accepted at"}
_SHOWN_APART = {"data", "body"}


@dataclass(frozen=True, slots=True)
class Description:
    """A session description. `lines`: each with whether a section of it begins there."""

    name: str
    lines: list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Details:
    """`facts`: labels and values. `content`: JSON with a member a line; `title` says of what."""

    facts: list[tuple[str, str]]
    descriptions: list[Description]
    title: str
    content: str


def details(entry: object) -> Details:
    """Texts are safe to show: what cannot be printed is written out."""
    if not isinstance(entry, dict):
        return Details([], [], "Entry", _pretty(entry))
    data, title, content = _content(entry)
    return Details(list(_facts(entry)), list(_descriptions(data)), title, content)


def _facts(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    named = {**_MOMENTS, **_LABELS, **_DURATIONS}
    order = {name: place for place, name in enumerate(named)}
    members = sorted(entry.items(), key=lambda member: order.get(member[0], len(order)))
    for name, value in members:
        if name not in _SHOWN_APART:
            yield named.get(name, printable(name, 100)), _value(name, value)


def _value(name: str, value: Any) -> str:
    is_number = type(value) is int and 0 <= value < 253_402_300_800_000
    if name in _MOMENTS and is_number:
        return date_time(value)
    if name in _DURATIONS and is_number:
        return duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value)
    return printable(text, _MAX_VALUE_CHARACTERS)


def _content(entry: dict[str, Any]) -> tuple[Any, str, str]:
    """The data of its event, and what is shown as it was sent."""
    if "body" not in entry:
        data = entry.get("data")
        return data, "Data of the event", "" if data is None else _pretty(data)
    event = notification_in(entry["body"])
    if event is None:
        return None, "Notification", escaped(str(entry["body"]))
    return event.get("data"), "Notification", _pretty(event)


def _descriptions(data: Any) -> Iterator[Description]:
    """Source: webrtc-events.yaml, offer and answer, each with its `sdp`."""
    if not isinstance(data, dict):
        return
    for name in ("offer", "answer"):
        given = data.get(name)
        sdp = given.get("sdp") if isinstance(given, dict) else None
        if isinstance(sdp, str):
            lines = escaped(sdp.replace("\r\n", "\n").rstrip("\n")).split("\n")
            yield Description(f"SDP {name}", [(line, line.startswith("m=")) for line in lines])


def _pretty(value: Any) -> str:
    return escaped(json.dumps(value, indent=2, ensure_ascii=False))
