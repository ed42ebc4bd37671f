"""The latest delivery attempts of a subscription, as far as they are among the latest of its partition."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from webrtc_events.store import scans
from webrtc_events.store.attempt_records import read_attempts
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.store import Store

__all__ = ["Attempt", "recent_attempts"]

# Of a stream that all subscriptions of a partition share: some 300 kB, and 20 ms.
_PAGES: Final = 10


@dataclass(frozen=True, slots=True)
class Attempt:
    """Source: delivery/tasks.py. `status` None: no answer came. `at_ms` is when it was over."""

    at_ms: int
    ms: int
    event: str
    type: str
    attempt: int
    outcome: str
    reason: str
    detail: str
    status: int | None
    correlator: str


def recent_attempts(store: Store, subscription_id: str, count: int) -> list[Attempt]:
    """Up to `count`, newest first. One that cannot be read is left out.

    Raises:
        Unavailable: the store does not answer.
    """
    partition = partition_of_subscription(subscription_id, store.partitions)
    if partition is None:
        return []
    found: list[Attempt] = []
    for page in islice(scans.newest_first(store.client, partition.attempts), _PAGES):
        for _, fields in page:
            if fields.get("subscription") == subscription_id:
                found += filter(None, map(_attempt, reversed(read_attempts(fields))))
        if len(found) >= count:
            break
    return found[:count]


def _attempt(record: Mapping[str, Any]) -> Attempt | None:
    try:
        return Attempt(
            int(record["at"]),
            int(record["ms"]),
            str(record["event"]),
            str(record.get("type", "")),
            int(record["attempt"]),
            str(record["outcome"]),
            str(record["reason"] or ""),
            str(record.get("detail", "")),
            None if record["status"] is None else int(record["status"]),
            str(record["correlator"] or ""),
        )
    except (OverflowError, TypeError, ValueError):
        return None
