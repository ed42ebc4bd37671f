"""Reads all subscriptions of a client, oldest first, in few round trips and bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import Subscription
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.records import read_subscription
from webrtc_events.store.redis.scripts import Call, WrongType
from webrtc_events.store.subscription_reads import FIELDS, named_fields

__all__ = ["PAGE", "SubscriptionList", "SubscriptionLists"]

# To make a page takes a process some 1 ms, in which its other requests wait.
PAGE = 100
# What a reader holds in memory, as it is kept.
_BYTES_AT_ONCE = 2 * 1024 * 1024
# To send for a thousand and take what comes is some 4 ms of a process, in which its other requests wait. So
# of a longer list the others come in smaller numbers.
_AT_FIRST, _AT_ONCE = 1_000, 500
# A script's work of less than 1 ms.
_RECORDS_A_SCRIPT = 100


@dataclass(frozen=True, slots=True)
class SubscriptionList:
    """`count` is how many the client's index names, ended ones and some that are not there too.

    `pages` are read as they are taken, and may raise `errors.Unavailable` and `errors.NewerRelease`.
    """

    count: int
    pages: Iterator[list[Subscription]]


class SubscriptionLists:
    """Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection, client_index: ClientIndex) -> None:
        self._connection = connection
        self._client_index = client_index

    def of(self, client: str) -> SubscriptionList:
        """Every subscription of a client. One that cannot be read is named in the log only."""
        count, ids = self._client_index.ids(client)
        return SubscriptionList(count, self._pages(ids))

    def _pages(self, ids_at_once: Iterator[list[str]]) -> Iterator[list[Subscription]]:
        size = _AT_FIRST
        for ids in ids_at_once:
            for records in self._records(ids, size):
                for first in range(0, len(records), PAGE):
                    yield list(self._readable(records[first : first + PAGE]))
            size = _AT_ONCE

    def _readable(self, records: Sequence[tuple[str, Any]]) -> Iterator[Subscription]:
        for subscription_id, values in records:
            fields = WrongType() if isinstance(values, str) else named_fields(values)
            found = read_subscription(subscription_id, fields)
            if isinstance(found, DamagedRecord):
                self._connection.damage.report(found.name, found.why)
            elif found is not None:
                yield found

    def _records(self, ids: list[str], size: int) -> Iterator[list[tuple[str, Any]]]:
        """Id and field values of those that there are, in order, at first up to `size` in a round trip.

        What does not fit is dropped, and twice as many as did fit are asked for in the next one.
        """
        at = 0
        while at < len(ids):
            asked = ids[at : at + size]
            found = self._read(asked)
            read = list(takewhile(found.__contains__, asked))
            yield [
                (subscription_id, found[subscription_id])
                for subscription_id in read
                if found[subscription_id]
            ]
            at, size = at + len(read), min(2 * len(read), _AT_ONCE)

    def _read(self, ids: Sequence[str]) -> dict[str, Any]:
        """At least of the first; None of one that is not there."""
        found: dict[str, Any] = {}
        parts = list(self._parts(ids, found))
        calls = [
            _call(partition, own, _BYTES_AT_ONCE * len(own) // len(ids), first=own[0] == ids[0])
            for partition, own in parts
        ]
        for (_, own), answer in zip(parts, self._connection.scripts.run(calls), strict=True):
            found.update(zip(own, answer, strict=False))
        return found

    def _parts(self, ids: Sequence[str], found: dict[str, Any]) -> Iterator[tuple[Partition, list[str]]]:
        """What a script reads: some ids of a partition. Those that no subscription can have are not there."""
        by_number: dict[int, list[str]] = {}
        for subscription_id in ids:
            partition = partition_of_subscription(subscription_id, self._connection.partition_count)
            if partition is None:
                found[subscription_id] = None
            else:
                by_number.setdefault(partition.number, []).append(subscription_id)
        for number, own in by_number.items():
            for first in range(0, len(own), _RECORDS_A_SCRIPT):
                yield Partition(number), own[first : first + _RECORDS_A_SCRIPT]


def _call(partition: Partition, ids: Sequence[str], max_bytes: int, *, first: bool) -> Call:
    """Source: lua/read_records.lua."""
    keys = [partition.subscription(subscription_id) for subscription_id in ids]
    return Call("read_records", keys, "", [max_bytes, int(first), *FIELDS])
