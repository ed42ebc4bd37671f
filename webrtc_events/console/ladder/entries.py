"""The entries of a call trace as values, whatever state the stored ones are in.

A trace may be damaged, of another release, or a file that somebody sends: what a member should be and is not
counts as left out, and an entry without a kind that is known is `Unreadable`. Texts are single lines that are
safe to show.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.plain_text import printable

__all__ = [
    "Accepted",
    "Attempt",
    "AttemptOutcome",
    "Entry",
    "Gap",
    "Item",
    "Unreadable",
    "notification_in",
    "read_entries",
]

# 9999-12-31T23:59:59.999Z, the last moment that RFC 3339 can write.
_MAX_AT_MS = 253_402_300_799_999
_MAX_CHARACTERS = 300
_KEY_CHARACTERS = 16


class AttemptOutcome(StrEnum):
    """Source of the values but the last: core/outcomes, in lower case."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DROP = "drop"
    END = "end"
    AGREED = "agreed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service accepted an event of the gateway. `subscriptions`: to how many it was appended."""

    source: str
    id: str
    time: str
    type: str
    status: str
    sequence: int | None
    duplicate: bool
    subscriptions: int | None
    bodies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A notification was sent, or given up without a try.

    `ms`: how long the request took; None if there was none. `http`: the status of the answer, None without
    one. `delay_ms`: until the next try. `channel`: the sink is one, and nothing was sent. `bodies`: which
    session descriptions it carried, `offer` and `answer`.
    """

    ms: int | None
    accepted_at: int | None
    subscription: str
    event: str
    type: str
    status: str
    sequence: int | None
    attempt: int | None
    outcome: AttemptOutcome
    reason: str
    detail: str
    http: int | None
    delay_ms: int | None
    host: str
    channel: bool
    last: bool
    bodies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries could not be kept here."""

    count: int | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry of a kind that this release does not know, or of none."""

    kind: str


Entry = Accepted | Attempt | Gap | Unreadable


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a trace. `at`: ms since the epoch.

    `number`: its place in the trace, from 1. `key`: names it within the trace, also when older ones are gone.
    `guessed`: it had no usable time, and has that of the entry before. `repeated`: the same was there before.
    """

    number: int
    key: str
    at: int
    entry: Entry
    guessed: bool
    repeated: bool


def notification_in(body: object) -> dict[str, Any] | None:
    """The JSON object that an entry's `body` holds as text; None if it holds none."""
    if not isinstance(body, str):
        return None
    try:
        event = parse_json(body.encode("utf-8", "surrogatepass"))
    except InvalidArgument:
        return None
    return event if isinstance(event, dict) else None


def read_entries(stored: Iterable[object]) -> list[Item]:
    """The entries in the order in which they are stored."""
    items: list[Item] = []
    names: Counter[str] = Counter()
    attempts: set[tuple[str, int]] = set()
    at = 0
    for number, raw in enumerate(stored, start=1):
        members = raw if isinstance(raw, dict) else {}
        name = _name(raw)
        names[name] += 1
        moment = _number(members, "at", _MAX_AT_MS)
        at = at if moment is None else moment
        entry = _entry(members)
        repeated = names[name] > 1
        if isinstance(entry, Attempt) and entry.event and entry.attempt is not None:
            repeated = repeated or (entry.event, entry.attempt) in attempts
            attempts.add((entry.event, entry.attempt))
        key = name if names[name] == 1 else f"{name}-{names[name]}"
        items.append(Item(number, key, at, entry, guessed=moment is None, repeated=repeated))
    return items


def _name(raw: object) -> str:
    text = json.dumps(raw, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_CHARACTERS]


def _entry(members: Mapping[str, Any]) -> Entry:
    match members.get("kind"):
        case "accepted":
            return _accepted(members)
        case "attempt":
            return _attempt(members)
        case "gap":
            return Gap(_number(members, "count"))
        case other:
            return Unreadable(printable(other, _MAX_CHARACTERS) if isinstance(other, str) else "")


def _accepted(members: Mapping[str, Any]) -> Accepted:
    data = members.get("data")
    return Accepted(
        source=_text(members, "source"),
        id=_text(members, "id"),
        time=_text(members, "time"),
        type=_text(members, "type"),
        status=_text(members, "status"),
        sequence=_number(members, "sequence"),
        duplicate=members.get("duplicate") is True,
        subscriptions=_number(members, "subscriptions"),
        bodies=_bodies(data),
    )


def _attempt(members: Mapping[str, Any]) -> Attempt:
    http = _number(members, "http")
    return Attempt(
        ms=_number(members, "ms"),
        accepted_at=_number(members, "accepted_at", _MAX_AT_MS),
        subscription=_text(members, "subscription"),
        event=_text(members, "event"),
        type=_text(members, "type"),
        status=_text(members, "status"),
        sequence=_number(members, "sequence"),
        attempt=_number(members, "attempt"),
        outcome=_outcome(members.get("outcome")),
        reason=_text(members, "reason"),
        detail=_text(members, "detail"),
        # 0 is no status.
        http=http or None,
        delay_ms=_number(members, "delay_ms"),
        host=_text(members, "host"),
        channel=members.get("channel") is True,
        last=members.get("last") is True,
        bodies=_bodies((notification_in(members.get("body")) or {}).get("data")),
    )


def _outcome(value: object) -> AttemptOutcome:
    try:
        return AttemptOutcome(value)  # type: ignore[arg-type]
    except ValueError:
        return AttemptOutcome.UNKNOWN


def _bodies(data: object) -> tuple[str, ...]:
    if not isinstance(data, dict):
        return ()
    return tuple(name for name in ("offer", "answer") if data.get(name))


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return printable(value, _MAX_CHARACTERS) if isinstance(value, str) else ""


def _number(members: Mapping[str, Any], name: str, most: int = 2**53) -> int | None:
    """A whole number that is not negative, else None."""
    value = members.get(name)
    return value if type(value) is int and 0 <= value <= most else None
