"""Which subscriptions clients have to devices, for people."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.scripts import WrongType, store_errors
from webrtc_events.store.store import Store

__all__ = ["subscriptions_to_devices"]

_AT_ONCE: Final = 500


def subscriptions_to_devices(store: Store, devices: Iterable[tuple[str, str]], limit: int) -> list[str]:
    """Ids of up to `limit` that are not over. `devices`: each with the client whose subscriptions are meant.

    Raises:
        Unavailable: the store does not answer.
    """
    ids = (found for device, client in devices for found in _ids(store, device.lower(), client))
    return list(dict.fromkeys(islice(ids, limit)))


def _ids(store: Store, device: str, client: str) -> Iterator[str]:
    key, cursor = partition_of(device, store.partitions).device(device, client), 0
    while True:
        try:
            with store_errors():
                cursor, ids = store.client.sscan(key, cursor=cursor, count=_AT_ONCE)
        except WrongType:
            # The sweeper makes it anew.
            return
        yield from ids
        if not cursor:
            return
