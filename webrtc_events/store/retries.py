"""Retries that wait in the store, made due before their time."""

from collections.abc import Sequence

import msgspec

from webrtc_events.store.connection import Connection, reached
from webrtc_events.store.keys import Partition
from webrtc_events.store.redis.scripts import Call

__all__ = ["Retries", "WaitingRetry"]


class WaitingRetry(msgspec.Struct, frozen=True, gc=False):
    """The subscription waits for the retry with which the claim of that fence was settled."""

    subscription_id: str
    fence: int


class Retries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hasten(self, retries: Sequence[WaitingRetry]) -> list[bool]:
        """Makes each of them due now, unless it no longer waits; returns which are due by this.

        One call holds up the store for as long as it takes for all of them: the caller bounds their number.

        Raises:
            Unavailable: none of the partitions can be reached. A retry that is not hastened waits as it did.
        """
        places: dict[int, list[int]] = {}
        partitions: dict[int, Partition] = {}
        for index, retry in enumerate(retries):
            partition = self._connection.partition_of_known(retry.subscription_id)
            partitions[partition.number] = partition
            places.setdefault(partition.number, []).append(index)
        calls = [
            _call(partitions[number], [retries[index] for index in indexes])
            for number, indexes in places.items()
        ]
        found = [False] * len(retries)
        for indexes, (damaged, *hastened) in reached(
            places.values(), self._connection.scripts.run_some(calls)
        ):
            self._connection.report_damaged(damaged)
            for index, is_due in zip(indexes, hastened, strict=True):
                found[index] = bool(is_due)
        return found


def _call(partition: Partition, retries: Sequence[WaitingRetry]) -> Call:
    """Source: lua/hasten.lua."""
    args: list[str | int] = [part for retry in retries for part in (retry.subscription_id, retry.fence)]
    return Call("hasten", [partition.due], partition.tag, args)
