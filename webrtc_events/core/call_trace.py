"""The trace of a call: what happened to the events of one media session, as values and as JSON."""

import json
from collections.abc import Iterable
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

import msgspec

__all__ = [
    "AcceptedEntry",
    "AttemptEntry",
    "CallOutcome",
    "GapEntry",
    "TraceEntry",
    "TraceLevel",
    "decode_entry",
    "encode_entry",
    "in_order",
    "without_content",
]


class TraceLevel(StrEnum):
    """How much is kept of each call. `METADATA`: all but what was said in it, `data`, `body` and `sink`."""

    OFF = "off"
    METADATA = "metadata"
    FULL = "full"


class CallOutcome(StrEnum):
    """What came of a call's notifications, in one word; the worst of them counts."""

    NOT_TRIED = "not-tried"
    DELIVERED = "delivered"
    RETRIED = "retried"
    FAILED = "failed"


class AcceptedEntry(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="accepted"
):
    """The service accepted an event of the gateway, with its `id` and `source`.

    `at`: when it came in, ms since the epoch by the store's clock. `time` is the gateway's. `type` is the
    last part of the event's. `subscriptions`: to how many it was appended. `data`: as accepted, at `FULL`.
    """

    at: int
    session: str
    id: str
    source: str
    time: str
    type: str
    subscriptions: int
    registration: str | None = None
    status: str | None = None
    sequence: int | None = None
    duplicate: bool = False
    data: dict[str, Any] | None = None


class AttemptEntry(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="attempt"
):
    """A notification was tried, or given up without a try: then `ms` is None.

    `at`: when that was over, ms since the epoch by the store's clock. `ms`: how long the request took.
    `event` is the CloudEvent's id, `type` the last part of its type, or `handshake`. `accepted_at`: when its
    event was accepted, or its end was queued, ms. `outcome`: the class of core/outcomes.py in lower case.
    `http`: the status code of the answer, if there was one. `delay_ms`: until the next try. `host`: scheme,
    name and port of the sink. `channel`: the sink is a notification channel, so a delivery is what was
    written into it. `last`: it is the subscription-ended. At `FULL`, `sink` is the sink's URL, and `body`
    what was sent.
    """

    at: int
    session: str
    subscription: str
    event: str
    type: str
    accepted_at: int
    attempt: int
    outcome: str
    host: str
    client: str
    ms: int | None = None
    status: str | None = None
    sequence: int | None = None
    reason: str = ""
    detail: str = ""
    http: int | None = None
    delay_ms: int | None = None
    channel: bool = False
    last: bool = False
    sink: str | None = None
    body: str | None = None


class GapEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="gap"):
    """From `at` on `count` entries could not be kept, or are kept no more."""

    at: int
    session: str
    count: int


TraceEntry = AcceptedEntry | AttemptEntry | GapEntry

# Less than a retry waits, so that attempts of two workers, which write when they like, go by their time.
_SKEW_MS: Final = 100
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[TraceEntry]] = msgspec.json.Decoder(TraceEntry)


def encode_entry(entry: TraceEntry) -> bytes:
    """As a JSON object in UTF-8, on one line; members that do not apply are left out.

    Text of a damaged record may hold bytes as surrogates (PEP 383): no reader takes such an entry.
    """
    try:
        return _encode(entry)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(entry)).encode()


def decode_entry(text: str | bytes) -> TraceEntry:
    """Members that are not known are passed over.

    Raises:
        ValueError: it is no entry. The message does not repeat what is in it.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"it is no entry of a trace: {type(error).__name__}") from error


def in_order(entries: Iterable[TraceEntry]) -> list[TraceEntry]:
    """By `at`; those of one ms stay as they are given, and so do those of one subscription within a moment.

    A worker learns the time with each claim, some ms late: such an `at` becomes that of the entry before.
    """
    latest: dict[str, int] = {}
    placed: list[TraceEntry] = []
    for entry in entries:
        if isinstance(entry, AttemptEntry):
            before = latest.get(entry.subscription, 0)
            if before - _SKEW_MS < entry.at < before:
                entry = msgspec.structs.replace(entry, at=before)
            latest[entry.subscription] = max(entry.at, before)
        placed.append(entry)
    return sorted(placed, key=attrgetter("at"))


def without_content(entry: TraceEntry) -> TraceEntry:
    """What `METADATA` keeps of an entry."""
    if isinstance(entry, AcceptedEntry):
        return msgspec.structs.replace(entry, data=None)
    if isinstance(entry, AttemptEntry):
        return msgspec.structs.replace(entry, sink=None, body=None)
    return entry
