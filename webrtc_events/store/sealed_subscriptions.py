"""Reads subscriptions together with their sealed credentials, of one client or of all, for an operator."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import Subscription
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.records import FIELDS_OF_SUBSCRIPTION, read_subscription
from webrtc_events.store.redis.scripts import answers_of, store_errors
from webrtc_events.store.scans import pages_of_keys
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_reads import named_fields

__all__ = ["SealedSubscription", "pages_of_ids", "read_sealed"]

_SUBSCRIPTION_KEY: Final = re.compile(r"\{\d{1,9}\}:subscription:([0-9a-f-]{1,64})")
_SENT: Final = [name.encode() for name in (*FIELDS_OF_SUBSCRIPTION, "credential")]


@dataclass(frozen=True, slots=True)
class SealedSubscription:
    """`sealed` is the sink's credential as it is kept, None for none."""

    subscription: Subscription
    sealed: str | None = field(repr=False)


def pages_of_ids(store: Store, client: str | None) -> Iterator[list[str]]:
    """Ids of a client's subscriptions, oldest first; of all for None, and then some may come twice.

    Raises:
        Unavailable: the store does not answer.
    """
    if client is not None:
        yield from store.client_index.pages(client)
        return
    for keys in pages_of_keys(store.client, "{*}:subscription:*"):
        matches = map(_SUBSCRIPTION_KEY.fullmatch, keys)
        yield [match[1] for match in matches if match]


def read_sealed(store: Store, ids: Sequence[str]) -> Iterator[SealedSubscription | DamagedRecord]:
    """Those that there are, in one round trip. One that a newer release wrote is as a damaged one.

    Raises:
        Unavailable: the store does not answer.
    """
    known = [
        (subscription_id, partition.subscription(subscription_id))
        for subscription_id in ids
        if (partition := partition_of_subscription(subscription_id, store.partitions))
    ]
    with store_errors():
        pipe = store.client.pipeline()
        for _, key in known:
            pipe.hmget(key, _SENT)
        answers = answers_of(pipe)
    for (subscription_id, _), values in zip(known, answers, strict=True):
        if isinstance(values, Exception):
            yield DamagedRecord(subscription_id, "it is a key of another type")
            continue
        *of_subscription, sealed = values
        if not any(values):
            continue
        try:
            found = read_subscription(subscription_id, named_fields(of_subscription))
        except NewerRelease:
            found = DamagedRecord(subscription_id, "a newer release wrote it")
        if isinstance(found, DamagedRecord):
            yield found
        elif found is not None:
            yield SealedSubscription(found, sealed or None)
