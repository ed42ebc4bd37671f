"""Reads subscriptions by id, a batch in one round trip."""

from collections.abc import Iterable, Iterator
from typing import Any

from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import Subscription
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.records import FIELDS_OF_SUBSCRIPTION, read_subscription
from webrtc_events.store.redis.scripts import answers_of, store_errors

__all__ = ["FIELDS", "named_fields", "read_subscriptions"]

# As they are sent, for they are sent very often.
FIELDS = [name.encode() for name in FIELDS_OF_SUBSCRIPTION]


def read_subscriptions(connection: Connection, ids: Iterable[str]) -> Iterator[Subscription | DamagedRecord]:
    """Those that there are, without their credentials.

    Raises:
        Unavailable: the store does not answer.
        NewerRelease: a newer release wrote one of them.
    """
    partitions = [
        (subscription_id, partition_of_subscription(subscription_id, connection.partition_count))
        for subscription_id in ids
    ]
    keys = {
        subscription_id: partition.subscription(subscription_id)
        for subscription_id, partition in partitions
        if partition
    }
    with store_errors():
        pipe = connection.client.pipeline()
        for key in keys.values():
            pipe.hmget(key, FIELDS)
        hashes = dict(zip(keys, map(named_fields, answers_of(pipe)), strict=True))
        without = [subscription_id for subscription_id, fields in hashes.items() if fields == {}]
        for subscription_id in without:
            pipe.exists(keys[subscription_id])
        answers = zip(without, answers_of(pipe), strict=True)
        missing = {subscription_id for subscription_id, exists in answers if not exists}
    for subscription_id, fields in hashes.items():
        found = None if subscription_id in missing else read_subscription(subscription_id, fields)
        if found is not None:
            yield found


def named_fields(values: Any) -> Any:
    """What a hash has of a subscription's fields, or what the store said in its place."""
    if isinstance(values, Exception):
        return values
    pairs = zip(FIELDS_OF_SUBSCRIPTION, values, strict=True)
    return {name: value for name, value in pairs if value is not None}
