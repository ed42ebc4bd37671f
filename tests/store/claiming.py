"""What tests of claims and settlements share."""

from collections.abc import Callable

import redis

from webrtc_events.core.model import Claim, Status, TerminationReason
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
P = partition_of("r1", 64)


def claim(store: Store, *, events: int = 8) -> list[Claim]:
    return store.claims.claim([P], subscriptions=10, events=events)


def claim_one(store: Store, *, events: int = 8) -> Claim:
    (found,) = claim(store, events=events)
    return found


def numbers(found: Claim) -> list[int]:
    return [item.number for item in found.items]


def end_reason(found: Claim) -> str | None:
    return next((item.payload for item in found.items if item.end), None)


def settle(store: Store, found: Claim, through: int | None = None, **values: object) -> str:
    last = found.items[-1].number if through is None else through
    (result,) = store.claims.settle([Settlement(found, last, **values)])  # type: ignore[arg-type]
    return result


def delete(store: Store, subscription_id: str) -> str:
    return store.subscriptions.end(
        subscription_id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )


def now_ms(raw_store: "redis.Redis") -> int:
    seconds, micros = raw_store.time()
    return seconds * 1000 + micros // 1000
