"""The subscriptions that are delivered into a channel: found by the index of its client."""

from collections.abc import Iterator, Sequence

from webrtc_events.store.channel_records import Channel
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.redis.scripts import answers_of, store_errors
from webrtc_events.store.store import Store

__all__ = ["subscriptions_of"]


def subscriptions_of(store: Store, channel: Channel, sink: str) -> Iterator[str]:
    """The ids of those whose sink is the channel's URL, ended ones too while they are kept."""
    for ids in store.client_index.pages(channel.client):
        yield from _with_sink(store, _near(store, ids, channel), sink)


def _near(store: Store, ids: Sequence[str], channel: Channel) -> dict[str, str]:
    """The key of each that is in a partition with a log of the channel, by its id."""
    found = {}
    for subscription_id in ids:
        partition = partition_of_subscription(subscription_id, store.partitions)
        if partition is not None and partition.number in channel.partitions:
            found[subscription_id] = partition.subscription(subscription_id)
    return found


def _with_sink(store: Store, keys: dict[str, str], sink: str) -> list[str]:
    with store_errors():
        pipe = store.client.pipeline()
        for key in keys.values():
            pipe.hget(key, "sink")
        answers = answers_of(pipe) if keys else []
    return [subscription_id for subscription_id, found in zip(keys, answers, strict=True) if found == sink]
