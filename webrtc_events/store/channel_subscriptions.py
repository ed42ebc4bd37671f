"""The subscriptions that are delivered into a channel: found by its index in each partition that has some."""

from collections.abc import Iterator, Mapping, Sequence

from webrtc_events.store.channel_records import Channel
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.redis.scripts import WrongType, answers_of, store_errors
from webrtc_events.store.store import Store

__all__ = ["subscriptions_of"]

# Source: lua/shared/endings.lua.
_ALL_ARE_LISTED = ""
_AT_ONCE = 500


def subscriptions_of(store: Store, channel: Channel, sink: str) -> Iterator[str]:
    """The ids of those whose sink is the channel's URL; none that is not over is missing.

    Where its log was made by a release that kept no index, it goes through all subscriptions of the client,
    and gives those that are over too, while they are kept.
    """
    unlisted = []
    for number in channel.partitions:
        found = _listed(store, Partition(number), channel.id)
        if found is None:
            unlisted.append(number)
        else:
            yield from found
    if unlisted:
        for ids in store.client_index.pages(channel.client):
            yield from _with_sink(store, _near(store, ids, unlisted), sink)


def _listed(store: Store, partition: Partition, channel_id: str) -> list[str] | None:
    """Those in its index; None: it does not have them all."""
    key = partition.channel_subscriptions(channel_id)
    try:
        with store_errors():
            if not store.client.sismember(key, _ALL_ARE_LISTED):
                return None
            # What is removed while it is read is over, or never was.
            found = set(store.client.sscan_iter(key, count=_AT_ONCE))
    except WrongType:
        return None
    return sorted(found - {_ALL_ARE_LISTED})


def _near(store: Store, ids: Sequence[str], partitions: Sequence[int]) -> dict[str, str]:
    """The key of each that is in one of these partitions, by its id."""
    found = {}
    for subscription_id in ids:
        partition = partition_of_subscription(subscription_id, store.partitions)
        if partition is not None and partition.number in partitions:
            found[subscription_id] = partition.subscription(subscription_id)
    return found


def _with_sink(store: Store, keys: Mapping[str, str], sink: str) -> list[str]:
    with store_errors():
        pipe = store.client.pipeline()
        for key in keys.values():
            pipe.hget(key, "sink")
        answers = answers_of(pipe) if keys else []
    return [subscription_id for subscription_id, found in zip(keys, answers, strict=True) if found == sink]
