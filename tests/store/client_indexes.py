"""The index of a client's subscriptions, and ways to end them."""

import redis

from tests.harness.builders import SINK, new_subscription
from webrtc_events.core.model import Status, Subscription, TerminationReason
from webrtc_events.store.keys import client_key, partition_of
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
INDEX = client_key("app")
LONG_AGO = 1_700_000_000


def outcome(store: Store, **values: object) -> str:
    made = new_subscription(**values)  # type: ignore[arg-type]
    return store.subscriptions.create(made, sink=SINK, headers={}, sealed=None).outcome


def standings(raw: "redis.Redis") -> dict[str, str]:
    """By the scores, as lua/shared/client_index.lua explains them."""
    scores = raw.zrange(INDEX, 0, -1, withscores=True)
    return {
        subscription_id: "ended" if score < 0 else "live" if score < 2**20 else "pending"
        for subscription_id, score in scores
    }


def ended_by_the_operator(store: Store, made: Subscription) -> None:
    store.subscriptions.end(made.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False)
