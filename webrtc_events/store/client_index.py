"""The index of a client's subscriptions: which there are, and which of them count towards its quota.

It is in another slot than the subscriptions, so no step writes both. Who is made is named here first, and
counts from then on. The step that ends one leaves a note in its partition (`Partition.ended`): the sweeper
writes here what the notes say, and so does a create that finds no room.

Source: docs/decisions/0014-what-a-client-has.md.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any

from webrtc_events.core.errors import Unavailable
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import (
    Partition,
    client_key,
    end_note,
    end_notes_of,
    partition_of_subscription,
    read_end_note,
)
from webrtc_events.store.rebuild import Rebuild
from webrtc_events.store.redis.scripts import Call, WrongType, answers_of, store_errors
from webrtc_events.store.standings import Standing, standing_call, standing_of
from webrtc_events.store.unconfirmed import Unconfirmed

__all__ = ["IDS_AT_ONCE", "ClientIndex"]

# Ids that are read at once: a script's work of 1 to 2 ms, in which the store's other clients wait.
IDS_AT_ONCE = 2000
# One that was named this long ago and is not there was never made.
_CREATE_TAKES_S = 60
# How many are looked at in one step to find room: of those that are known to have been made, few, as it is
# rarely one of them that should not count.
_PENDING_AT_ONCE = 200
_LIVE_AT_ONCE = 20
_NOTES_AT_ONCE = 100
# A server runs what comes in one batch before it serves others: so one settles so many notes, or removes
# those of so many partitions, a ms or two.
_SETTLED_AT_ONCE = 250
_PARTITIONS_AT_ONCE = 8
_RANDOM_BITS = 31


class _ReserveOutcome(StrEnum):
    """RESERVED, or of which standing those are that keep it out. Source: lua/reserve.lua."""

    RESERVED = "reserved"
    PENDING = "pending"
    LIVE = "live"


class ClientIndex:
    """Of every client. May be used by several threads. Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection, rebuild: Rebuild) -> None:
        self._redis = connection.client
        self._scripts = connection.scripts
        self._partitions = connection.partition_count
        self._damage = connection.damage
        self._rebuild = rebuild
        self._unconfirmed = Unconfirmed()

    def reserve(self, client: str, subscription_id: str, limit: int) -> bool:
        """Names a subscription that is about to be made; False: the client has `limit` that count.

        0 is no limit. Without room it looks for some that should not count: all that were being made long
        ago, as everything is that the release before named, all whose end was noted, and a few of the others.
        """
        return self.reserve_beside(client, subscription_id, limit, [])[0]

    def reserve_beside(
        self, client: str, subscription_id: str, limit: int, others: Sequence[Call]
    ) -> tuple[bool, list[Any]]:
        """As `reserve`, and what the other scripts returned, which are run in its first round trip.

        They may be run twice. What may not have run, for an outage, is Unavailable in place of its answer.
        """
        call = _reserve_call(client, subscription_id, limit, self._unconfirmed.take(client))
        answer, *answers = self._run_beside(client, call, others)
        while True:
            outcome, *ids = answer
            if outcome == _ReserveOutcome.RESERVED:
                return True, answers
            # Each round leaves fewer that are pending, then fewer notes.
            if outcome == _ReserveOutcome.PENDING:
                self._look_at(client, ids)
            elif not self._settle_notes_of(client) and not self._look_at(client, ids):
                return False, answers
            (answer,) = self._run_beside(client, _reserve_call(client, subscription_id, limit, []), [])

    def unconfirmed(self, client: str) -> list[str]:
        """Those that were confirmed here and not written down. Who asks writes it."""
        return self._unconfirmed.take(client)

    def confirm(self, client: str, subscription_id: str) -> None:
        """It was made. The client's next create writes that down.

        Without this it counts all the same, and is looked at before others are kept out.
        """
        self._unconfirmed.add(client, subscription_id)

    def remove(self, client: str, subscription_id: str) -> None:
        """It is not there, or will not be. What is no index holds nothing of it."""
        with store_errors():
            pipe = self._redis.pipeline()
            pipe.zrem(client_key(client), subscription_id)
            answers_of(pipe)

    def count(self, client: str) -> int:
        """How many there are, ended ones too."""
        try:
            with store_errors():
                return int(self._redis.zcard(client_key(client)))
        except WrongType:
            self.mend(client)
            return self.count(client)

    def pages(self, client: str) -> Iterator[list[str]]:
        """The ids of all, oldest first, some at once. Each that is there throughout comes once."""
        named, last = "", ""
        while True:
            named, ids = self.page(client, named, last, IDS_AT_ONCE)
            if ids:
                yield ids
            if len(ids) < IDS_AT_ONCE:
                return
            last = ids[-1]

    def page(self, client: str, named: str, last: str, count: int) -> tuple[str, list[str]]:
        """Up to `count` ids behind `last`, and when the last of them was named, for the next page.

        `named` and `last` are empty at first. Fewer than `count` are the last ones.
        """
        call = Call("index_page", [client_key(client)], "", [named, last, count])
        ((named, *ids),) = self._run_beside(client, call, [])
        return named, ids

    def settle_notes(self, notes: Mapping[int, Sequence[str]]) -> int:
        """Writes into the indexes what notes of each partition say; returns how many are done with.

        A note goes once its end is in the index. Where that cannot be reached it stays.
        """
        by_client: dict[str, list[str]] = defaultdict(list)
        for note in chain.from_iterable(notes.values()):
            read = read_end_note(note)
            if read is not None:
                by_client[read[0]].append(read[1])
        waiting: set[str] = set()
        for run in _runs(by_client):
            calls = [standing_call(client, dict.fromkeys(ids, Standing.ENDED)) for client, ids in run]
            answers = self._scripts.run_some(calls)
            waiting |= {
                end_note(client, subscription_id)
                for (client, ids), answer in zip(run, answers, strict=True)
                if isinstance(answer, Unavailable)
                for subscription_id in ids
            }
        done = {number: [note for note in noted if note not in waiting] for number, noted in notes.items()}
        self._remove_notes({number: settled for number, settled in done.items() if settled})
        return sum(map(len, done.values()))

    def _remove_notes(self, notes: Mapping[int, Sequence[str]]) -> None:
        numbers = list(notes)
        for first in range(0, len(numbers), _PARTITIONS_AT_ONCE):
            with store_errors():
                pipe = self._redis.pipeline()
                for number in numbers[first : first + _PARTITIONS_AT_ONCE]:
                    pipe.zrem(Partition(number).ended, *notes[number])
                answers_of(pipe)

    def _settle_notes_of(self, client: str) -> int:
        first, last = end_notes_of(client)
        with store_errors():
            pipe = self._redis.pipeline()
            for number in range(self._partitions):
                pipe.zrangebylex(Partition(number).ended, first, last, 0, _NOTES_AT_ONCE)
            answers = answers_of(pipe)
        notes = {number: found for number, found in enumerate(answers) if found and isinstance(found, list)}
        return self.settle_notes(notes) if notes else 0

    def _look_at(self, client: str, ids: Sequence[str]) -> int:
        """Reads whether they are there and not over, and writes it down. Returns how many count no longer."""
        standings = self._standings(ids)
        return int(self._scripts.run([standing_call(client, standings)])[0]) if standings else 0

    def _standings(self, ids: Sequence[str]) -> dict[str, Standing]:
        partitions = {
            subscription_id: partition_of_subscription(subscription_id, self._partitions)
            for subscription_id in ids
        }
        known = {
            subscription_id: partition.subscription(subscription_id)
            for subscription_id, partition in partitions.items()
            if partition
        }
        with store_errors():
            pipe = self._redis.pipeline()
            for key in known.values():
                pipe.hget(key, "status")
            statuses = dict(zip(known, answers_of(pipe), strict=True))
            without = [subscription_id for subscription_id, status in statuses.items() if status is None]
            for subscription_id in without:
                pipe.exists(known[subscription_id])
            exists = dict(zip(without, answers_of(pipe), strict=True))
        # One that cannot be read counts until it is deleted.
        standings = dict.fromkeys(ids, Standing.GONE)
        for subscription_id, status in statuses.items():
            if status is not None or exists[subscription_id]:
                standings[subscription_id] = standing_of(status)
        return standings

    def mend(self, client: str) -> None:
        """An index of another type is made anew from the subscriptions, which name their client."""
        key = client_key(client)
        with store_errors():
            if self._redis.type(key) not in ("zset", "none"):
                self._rebuild.client(client)
                self._damage.report(key, "it is a key of another type and was made anew")

    def _run_beside(self, client: str, call: Call, others: Sequence[Call]) -> list[Any]:
        """What each returns, of the others also Unavailable. All are run again if the client's index had to
        be made anew.
        """
        try:
            with store_errors():
                answers = self._scripts.run_some([call, *others])
        except WrongType:
            self.mend(client)
            with store_errors():
                answers = self._scripts.run_some([call, *others])
        if isinstance(answers[0], Unavailable):
            raise answers[0]
        return answers


def _runs(by_client: Mapping[str, Sequence[str]]) -> list[list[tuple[str, Sequence[str]]]]:
    """What is settled at once: clients, each with ids of theirs."""
    runs: list[list[tuple[str, Sequence[str]]]] = [[]]
    room = _SETTLED_AT_ONCE
    for client, ids in by_client.items():
        left = ids
        while left:
            runs[-1].append((client, left[:room]))
            left, room = left[room:], room - min(room, len(left))
            if room == 0:
                runs.append([])
                room = _SETTLED_AT_ONCE
    return [run for run in runs if run]


def _reserve_call(client: str, subscription_id: str, limit: int, made: Sequence[str]) -> Call:
    """Source: lua/reserve.lua."""
    args = [subscription_id, limit or "", _CREATE_TAKES_S]
    args += [_PENDING_AT_ONCE, _LIVE_AT_ONCE, random.getrandbits(_RANDOM_BITS), *made]
    return Call("reserve", [client_key(client)], "", args)
