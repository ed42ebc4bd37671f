"""Finds subscriptions for an operator, page by page, and never in one long step.

By client and by registration there are indexes; a registration leads to the subscriptions to its device too.
For the rest it goes through the keys of the store in small steps, says how far it came, and where to go on.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import NewerRelease
from webrtc_events.core.model import EventType, Status
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.redis.scripts import WrongType, store_errors
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_rows import SubscriptionFilter, SubscriptionRow, read_rows

__all__ = ["PAGE", "Cursor", "SubscriptionPage", "SubscriptionSearch"]

PAGE: Final = 50
# A page takes this long and a step more, at most. A step is half a ms of the store's time.
_BUDGET_S: Final = 0.1
_KEYS_A_STEP: Final = 1000
_IDS_A_STEP: Final = 500
_RECORDS_A_STEP: Final = 100

_SUBSCRIPTION_KEY: Final = re.compile(r"\{\d{1,9}\}:subscription:([0-9a-f-]{1,64})")
_CURSOR: Final = re.compile(r"([A-Za-z0-9.~+-]{0,120})_([0-9a-f-]{0,64})_(\d{1,15})_(\d{1,15})")
_TYPES: Final = (EventType.SESSION_INVITATION, EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS)
# What is over leaves the index of its registration.
_NOT_OVER: Final = frozenset({Status.ACTIVE, Status.ACTIVATION_REQUESTED})


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on: in the batch of ids that begins `at`, behind the subscription `after`.

    Up to there, so many `keys` of the store and so many `records` of subscriptions were looked at.
    """

    at: str = ""
    after: str = ""
    keys: int = 0
    records: int = 0

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """
        Raises:
            ValueError: it is no place in a list.
        """
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no place in a list")
        return cls(match[1], match[2], int(match[3]), int(match[4]))

    def __str__(self) -> str:
        return f"{self.at}_{self.after}_{self.keys}_{self.records}"


@dataclass(frozen=True, slots=True)
class SubscriptionPage:
    """`reached` is where the next page begins; `is_last`: there is none.

    `keys`: how many the store has, about; None where an index leads to the subscriptions.
    """

    rows: Sequence[SubscriptionRow]
    reached: Cursor
    is_last: bool
    keys: int | None


@dataclass(frozen=True, slots=True)
class _Batch:
    """Ids that were found in one step, which looked at so many `keys`; the next begins at `next`, if any."""

    ids: Sequence[str]
    keys: int
    next: str | None


class _Source(Protocol):
    def batch(self, at: str) -> _Batch:
        """The ids of the step that begins there; '' is the first.

        Raises:
            ValueError: no step begins there.
        """


class SubscriptionSearch:
    """Every method may raise `errors.Unavailable`. May be used by several threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def page(self, wanted: SubscriptionFilter, cursor: Cursor, size: int = PAGE) -> SubscriptionPage:
        """Up to `size` subscriptions, fewer if there are no more or the time for a page is over.

        Raises:
            ValueError: the cursor is not of a search like this one.
        """
        wanted = self._with_device(wanted)
        source = self._source(wanted)
        until_s = self._clock.monotonic() + _BUDGET_S
        rows: list[SubscriptionRow] = []
        place, is_last, began = cursor, False, False

        def is_enough() -> bool:
            return began and (len(rows) == size or self._clock.monotonic() >= until_s)

        while not is_last and not is_enough():
            batch = source.batch(place.at)
            for ids in _in_steps(_behind(batch.ids, place.after)):
                if is_enough():
                    break
                found, looked_at = self._matching(wanted, ids, size - len(rows))
                rows += found
                place = Cursor(place.at, ids[looked_at - 1], place.keys, place.records + looked_at)
                began = True
                if looked_at < len(ids):
                    break
            else:
                place = Cursor(batch.next or place.at, "", place.keys + batch.keys, place.records)
                is_last = batch.next is None
                began = True
        keys = sum(map(int, self._sizes())) if isinstance(source, _AllIds) else None
        return SubscriptionPage(rows, place, is_last, keys)

    def is_by_registration(self, wanted: SubscriptionFilter) -> bool:
        """Whether only the subscriptions to a registration that are not over are looked at."""
        return wanted.client is None and wanted.registration is not None and wanted.statuses <= _NOT_OVER

    def _source(self, wanted: SubscriptionFilter) -> _Source:
        if wanted.client is not None:
            return _IdsOfClient(self._store, wanted.client)
        if self.is_by_registration(wanted):
            return _IdsOfRegistration(self._store, wanted)
        return _AllIds(self._store)

    def _with_device(self, wanted: SubscriptionFilter) -> SubscriptionFilter:
        """A registration that is known leads to the subscriptions of its owner to its device."""
        if wanted.registration is None:
            return wanted
        try:
            found = self._store.events.devices.registered([wanted.registration]).get(wanted.registration)
        except NewerRelease:
            found = None
        return wanted if found is None else replace(wanted, heard_by=(found.device, found.owner))

    def _matching(
        self, wanted: SubscriptionFilter, ids: Sequence[str], room: int
    ) -> tuple[list[SubscriptionRow], int]:
        """The first that match, and how many ids were looked at for them."""
        rows = read_rows(self._store.client, self._store.partitions, ids, wanted)
        looked_at = len(ids) if len(rows) <= room else ids.index(rows[room - 1].id) + 1
        return rows[:room], looked_at

    def _sizes(self) -> list[int]:
        with store_errors():
            return [node.client.dbsize() for node in self._store.client.nodes.all()]


class _AllIds:
    """Of every subscription, in the order of the store's hash table, node after node."""

    _AT = re.compile(r"(\d{1,4})x(\d{1,20})")

    def __init__(self, store: Store) -> None:
        self._nodes = sorted(store.client.nodes.all(), key=lambda node: node.address)

    def batch(self, at: str) -> _Batch:
        number, cursor = _pair(self._AT, at or "0x0")
        if number >= len(self._nodes):
            return _Batch([], 0, None)
        with store_errors():
            following, keys = self._nodes[number].client.scan(
                cursor=cursor, match="{*}:subscription:*", count=_KEYS_A_STEP
            )
        matches = map(_SUBSCRIPTION_KEY.fullmatch, keys)
        ids = list(dict.fromkeys(match[1] for match in matches if match))
        if following:
            return _Batch(ids, _KEYS_A_STEP, f"{number}x{following}")
        return _Batch(ids, _KEYS_A_STEP, f"{number + 1}x0" if number + 1 < len(self._nodes) else None)


class _IdsOfClient:
    """Oldest first."""

    def __init__(self, store: Store, client: str) -> None:
        self._index = store.client_index
        self._client = client

    def batch(self, at: str) -> _Batch:
        named, _, last = at.partition("~")
        if named and not re.fullmatch(r"\d{1,15}(\.\d{1,20})?", named):
            raise ValueError(f"{at!r} is no place in a client's index")
        named, ids = self._index.page(self._client, named, last, _IDS_A_STEP)
        return _Batch(ids, 0, f"{named}~{ids[-1]}" if len(ids) == _IDS_A_STEP else None)


class _IdsOfRegistration:
    """Of those that are not over, type after type, then those to its device."""

    _AT = re.compile(r"(\d)x(\d{1,20})")

    def __init__(self, store: Store, wanted: SubscriptionFilter) -> None:
        self._redis = store.client
        registration = str(wanted.registration)
        partition: Partition = partition_of(registration, store.partitions)
        types = _TYPES if wanted.type is None else (wanted.type,)
        self._keys = [partition.registration(type_, registration) for type_ in types]
        if wanted.heard_by is not None:
            device, owner = wanted.heard_by
            self._keys.append(partition_of(device, store.partitions).device(device, owner))

    def batch(self, at: str) -> _Batch:
        number, cursor = _pair(self._AT, at or "0x0")
        if number >= len(self._keys):
            return _Batch([], 0, None)
        try:
            with store_errors():
                following, ids = self._redis.sscan(self._keys[number], cursor=cursor, count=_IDS_A_STEP)
        except WrongType:
            # The sweeper makes it anew.
            following, ids = 0, []
        if following:
            return _Batch(ids, 0, f"{number}x{following}")
        return _Batch(ids, 0, f"{number + 1}x0" if number + 1 < len(self._keys) else None)


def _pair(pattern: re.Pattern[str], text: str) -> tuple[int, int]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no place in a list")
    return int(match[1]), int(match[2])


def _behind(ids: Sequence[str], last: str) -> Sequence[str]:
    """All of them where the last one is not among them any more: some come twice, none is lost."""
    return ids[ids.index(last) + 1 :] if last in ids else ids


def _in_steps(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), _RECORDS_A_STEP):
        yield ids[first : first + _RECORDS_A_STEP]
