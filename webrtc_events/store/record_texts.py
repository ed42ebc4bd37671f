"""Reads fields of many records, in few round trips and bounded memory."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import partition_of_subscription
from webrtc_events.store.redis.scripts import Call, SlotsFound

__all__ = ["RecordTexts"]

# What a reader holds in memory, as it is kept.
_BYTES_AT_ONCE = 2 * 1024 * 1024
# To send for a thousand and take what comes is some ms of a process, in which its other requests wait. So
# of a longer list the others come in smaller numbers.
_AT_FIRST, _AT_ONCE = 1_000, 500
# A script's work of less than 1 ms.
_RECORDS_A_SCRIPT = 100


class RecordTexts:
    """Of subscriptions, `fields` of each as one text. Source: lua/read_records.lua."""

    def __init__(self, connection: Connection, fields: Sequence[str]) -> None:
        self._connection = connection
        # As they are sent, for they are sent very often.
        self._fields = [name.encode() for name in fields]

    def read(self, lists: Iterator[Sequence[str]]) -> Iterator[list[tuple[str, str]]]:
        """Id and text of those that there are, in the order of the ids.

        Raises:
            Unavailable: the store does not answer.
        """
        size = _AT_FIRST
        for ids in lists:
            at = 0
            while at < len(ids):
                asked = ids[at : at + size]
                found = self._found(asked)
                # What does not fit was dropped: twice as many as did fit are asked for next.
                read = list(takewhile(found.__contains__, asked))
                yield [
                    (subscription_id, text) for subscription_id in read if (text := found[subscription_id])
                ]
                at, size = at + len(read), min(2 * len(read), _AT_ONCE)
            size = _AT_ONCE

    def _found(self, ids: Sequence[str]) -> dict[str, str | None]:
        """At least of the first; None of one that is not there."""
        if not self._connection.client.nodes.has_slots:
            try:
                return self._run(ids, across_slots=True)
            except SlotsFound:
                pass
        return self._run(ids, across_slots=False)

    def _run(self, ids: Sequence[str], *, across_slots: bool) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        parts = list(self._parts(ids, found, across_slots=across_slots))
        calls = [
            Call(
                "read_records",
                list(keys.values()),
                "",
                [_BYTES_AT_ONCE * len(keys) // len(ids), int(ids[0] in keys), *self._fields],
            )
            for keys in parts
        ]
        run = self._connection.scripts.run_across_slots if across_slots else self._connection.scripts.run
        answer: Any
        for keys, answer in zip(parts, run(calls), strict=True):
            found.update(zip(keys, answer, strict=False))
        return found

    def _parts(
        self, ids: Sequence[str], found: dict[str, str | None], *, across_slots: bool
    ) -> Iterator[dict[str, str]]:
        """What a script reads: ids and their keys. Those that no subscription can have are not there."""
        by_slot: dict[int, dict[str, str]] = {}
        for subscription_id in ids:
            partition = partition_of_subscription(subscription_id, self._connection.partition_count)
            if partition is None:
                found[subscription_id] = None
                continue
            keys = by_slot.setdefault(0 if across_slots else partition.number, {})
            keys[subscription_id] = partition.subscription(subscription_id)
            if len(keys) == _RECORDS_A_SCRIPT:
                yield by_slot.pop(0 if across_slots else partition.number)
        yield from by_slot.values()
