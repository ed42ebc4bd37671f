"""What an operator sees of one subscription: its record, its outbox, what it waits for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import Subscription
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.record_defaults import RECORD_DEFAULTS
from webrtc_events.store.records import FIELDS_OF_SUBSCRIPTION, read_subscription
from webrtc_events.store.redis.scripts import answers_of, store_errors
from webrtc_events.store.store import Store

__all__ = ["OutboxState", "SubscriptionDetails", "read_details"]

# Besides those of the record. The credential is not among them.
_STATE: Final = (
    "sink",
    "appended",
    "attempts",
    "end_reason",
    "ended_at",
    "failing_since",
    "lease_until",
    "outbox_size",
    "token_expires_at",
)
# The end of the year 9999: no moment that can be written lies behind it.
_LAST_MOMENT_MS: Final = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class OutboxState:
    """`size` in bytes, and when its first event was accepted; None where that is not known."""

    length: int
    size: int | None
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class SubscriptionDetails:
    """`now_ms` and all times are the store's. `record` None: it cannot be read, and `fault` says why.

    `due_at_ms`: when a worker looks at it next. `ends_at_ms`: when time ends it, or removes what is kept
    of it. `failed_attempts` are those of the first event in its outbox.
    """

    id: str
    now_ms: int
    record: Subscription | None
    fault: str
    sink: str
    outbox: OutboxState
    accepted: int | None
    failed_attempts: int | None
    failing_since_ms: int | None
    leased_until_ms: int | None
    due_at_ms: int | None
    ends_at_ms: int | None
    end_reason: str
    ended_at_ms: int | None
    token_expires_at_ms: int | None


def read_details(store: Store, subscription_id: str) -> SubscriptionDetails | None:
    """None: there is no such subscription, or none any more. What is damaged is left out, and no more.

    Raises:
        Unavailable: the store does not answer.
    """
    partition = partition_of_subscription(subscription_id, store.partitions)
    if partition is None:
        return None
    fields, state, length, first, due, ends, now_ms = _read(store, partition, subscription_id)
    if fields == {} and not any(state.values()):
        return None
    try:
        found = read_subscription(subscription_id, fields)
    except NewerRelease:
        found = DamagedRecord(subscription_id, "a newer release wrote it")
    if found is None:
        return None
    return SubscriptionDetails(
        subscription_id,
        now_ms,
        found if isinstance(found, Subscription) else None,
        found.why if isinstance(found, DamagedRecord) else "",
        state.get("sink", ""),
        OutboxState(length, _size(state.get("outbox_size", ""), length), _accepted(first)),
        _count(state.get("appended")),
        _count(state.get("attempts", RECORD_DEFAULTS["attempts"])),
        _count(state.get("failing_since")),
        _count(state.get("lease_until")) or None,
        due,
        ends,
        state.get("end_reason", ""),
        _count(state.get("ended_at")),
        _count(state.get("token_expires_at")),
    )


def _read(
    store: Store, partition: Partition, subscription_id: str
) -> tuple[Any, Mapping[str, str], int, str, int | None, int | None, int]:
    key, outbox = partition.subscription(subscription_id), partition.outbox(subscription_id)
    with store_errors():
        pipe = store.client.pipeline()
        pipe.hmget(key, FIELDS_OF_SUBSCRIPTION)
        pipe.hmget(key, _STATE)
        pipe.llen(outbox)
        pipe.lindex(outbox, 0)
        pipe.zscore(partition.due, subscription_id)
        pipe.zscore(partition.ends, subscription_id)
        pipe.time()
        values, state_values, length, first, due, ends, (seconds, micros) = answers_of(pipe)
    is_hash = not isinstance(values, Exception)
    return (
        _named(FIELDS_OF_SUBSCRIPTION, values) if is_hash else values,
        _named(_STATE, state_values) if is_hash else {"sink": ""},
        0 if isinstance(length, Exception) else length,
        "" if isinstance(first, Exception) or first is None else first,
        _moment(due),
        _moment(ends),
        seconds * 1000 + micros // 1000,
    )


def _named(names: tuple[str, ...], values: Any) -> dict[str, str]:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _moment(score: Any) -> int | None:
    """Of a sorted set, whose scores may be anything."""
    if not isinstance(score, float) or not 0 <= score <= _LAST_MOMENT_MS:
        return None
    return int(score)


def _count(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > len(str(_LAST_MOMENT_MS)):
        return None
    return min(int(text), _LAST_MOMENT_MS)


def _size(text: str, length: int) -> int | None:
    """Source: lua/shared/outboxes.lua. One that was not kept up to date has another number of entries."""
    entries, _, size = text.partition(" ")
    if length == 0:
        return 0
    return _count(size) if _count(entries) == length else None


def _accepted(entry: str) -> int | None:
    try:
        return min(parse_entry(entry).accepted_ms, _LAST_MOMENT_MS)
    except ValueError:
        return None
