"""Reads what a list for operators shows of subscriptions: a few fields of many, whoever they belong to."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from webrtc_events.core.model import EventType, Status
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.redis.scripts import Client, answers_of, store_errors

__all__ = ["SubscriptionFilter", "SubscriptionRow", "read_rows"]

_FIELDS: Final = (
    "format",
    "status",
    "type",
    "client",
    "registration",
    "sink",
    "starts_at",
    "expires_at",
    "device",
    "types",
)
# As they are sent, for they are sent very often.
_SENT: Final = [name.encode() for name in _FIELDS]
_STATUSES: Final = {str(status): status for status in Status}
_TYPES: Final = {str(event_type): event_type for event_type in EventType}
_KINDS: Final = {event_type.rpartition(".")[2]: event_type for event_type in EventType}
_NEWER: Final = "a newer release wrote it"
_MAX_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """What could be read of a subscription; None or empty for what could not, and then `fault` says why.

    `host` is its sink's host name and port. Times in ms since the epoch. One to a device has a `device` in
    place of a `registration`; `types` are all that it asks for, of which `type` is the first.
    """

    id: str
    status: Status | None
    type: EventType | None
    client: str
    registration: str
    host: str
    starts_at_ms: int | None
    expires_at_ms: int | None
    fault: str = ""
    device: str = ""
    types: tuple[EventType, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFilter:
    """Which subscriptions; None filters nothing, and no statuses are all.

    `host` is a host name, alone or with its port, or a domain of it. `registration` is an id, which a search
    finds by its device too (`heard_by`: device and owner); `is_registration` knows it otherwise, by its
    pseudonym. `device` is a deviceId in lower case.
    """

    client: str | None = None
    registration: str | None = None
    is_registration: Callable[[str], bool] | None = None
    type: EventType | None = None
    statuses: frozenset[Status] = frozenset()
    host: str | None = None
    device: str | None = None
    heard_by: tuple[str, str] | None = None

    def takes(self, values: Sequence[str | None]) -> bool:
        """`values` as they are kept: most subscriptions that are looked at are not shown."""
        _, status, event_type, client, registration, sink, _, _, device, types = values
        return (
            self.client in (None, client)
            and (self.type in (None, event_type) or _asks_for(types, self.type))
            and (not self.statuses or status in self.statuses)
            and (self.registration in (None, registration) or self.heard_by == (device, client))
            and self.device in (None, device)
            and (self.host is None or _is_of_host(_host(sink or ""), self.host))
            and (self.is_registration is None or self.is_registration(_legible(registration or "")))
        )


def _asks_for(types: str | None, event_type: EventType | None) -> bool:
    return event_type is not None and event_type.rpartition(".")[2] in (types or "").split(" ")


def read_rows(
    client: Client, partitions: int, ids: Sequence[str], wanted: SubscriptionFilter
) -> list[SubscriptionRow]:
    """Those that there are and that match, in their order. `partitions`: of the store.

    A deleted one is there until its end is delivered. One that is no hash matches no filter.

    Raises:
        Unavailable: the store does not answer.
    """
    known = [
        (subscription_id, partition.subscription(subscription_id))
        for subscription_id in ids
        if (partition := partition_of_subscription(subscription_id, partitions))
    ]
    with store_errors():
        pipe = client.pipeline()
        for _, key in known:
            pipe.hmget(key, _SENT)
        answers = answers_of(pipe)
    anything = SubscriptionFilter()
    rows = []
    for (subscription_id, _), values in zip(known, answers, strict=True):
        if isinstance(values, Exception):
            if wanted == anything:
                rows.append(_unreadable(subscription_id))
        elif any(values) and wanted.takes(values):
            rows.append(_row(subscription_id, values))
    return rows


def _unreadable(subscription_id: str) -> SubscriptionRow:
    why = "it is a key of another type"
    return SubscriptionRow(subscription_id, None, None, "", "", "", None, None, why)


def _row(subscription_id: str, values: Sequence[str | None]) -> SubscriptionRow:
    fields = {name: _legible(value or "") for name, value in zip(_FIELDS, values, strict=True)}
    status, event_type = _STATUSES.get(fields["status"]), _TYPES.get(fields["type"])
    starts_at, expires_at = _moment(fields["starts_at"]), _moment(fields["expires_at"])
    faults = {
        "status": status is None,
        "type": event_type is None,
        "client": not fields["client"],
        "registration": not (fields["registration"] or fields["device"]),
        "sink": not fields["sink"],
        "starts_at": starts_at is None,
        "expires_at": expires_at is None and fields["expires_at"] != "",
    }
    wrong = next((f"its field {name} cannot be read" for name, is_wrong in faults.items() if is_wrong), "")
    return SubscriptionRow(
        subscription_id,
        status,
        event_type,
        fields["client"],
        fields["registration"],
        _host(fields["sink"]),
        starts_at,
        expires_at,
        _NEWER if _is_newer(fields["format"]) else wrong,
        fields["device"],
        tuple(_KINDS[kind] for kind in fields["types"].split(" ") if kind in _KINDS)
        or (() if event_type is None else (event_type,)),
    )


def _legible(text: str) -> str:
    """What is no UTF-8 in the store is no text on a page either."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _is_newer(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) > FORMAT


def _moment(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


# What stands before its path, without credentials. To take it apart as a URL takes ten times as long.
_AUTHORITY: Final = re.compile(r"[a-z]+://(?:[^/?#@]*@)?([^/?#]+)", re.IGNORECASE)


def _host(sink: str) -> str:
    match = _AUTHORITY.match(sink)
    return match[1].lower() if match else ""


def _is_of_host(host: str, wanted: str) -> bool:
    name, wanted = host.rpartition(":")[0] or host, wanted.lower()
    return wanted in (host, name) or name.endswith(f".{wanted}")
