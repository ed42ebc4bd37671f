"""Dead letters: events given up, kept for a while, which an operator can look at, redeliver or purge."""

import heapq
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import EventType, OutboxItem
from webrtc_events.store import scans
from webrtc_events.store.attempt_records import read_attempts
from webrtc_events.store.keys import Partition, partition_of, partition_of_subscription
from webrtc_events.store.outbox_entries import (
    keep_event_number,
    parse_entry,
    referred_payload,
    registrations_in,
)
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors
from webrtc_events.store.store import Store

__all__ = ["DeadLetter", "DeadLetterFilter", "DeadLetterId", "DeadLetters", "Redelivery", "RedeliveryOutcome"]

_ID = re.compile(r"(0|[1-9]\d{0,8})-(\d{1,18})-(\d{1,18})")
# They would be given up again for the same reason.
_NOT_REDELIVERABLE = frozenset({"damaged", "invalid_event", "unreadable_entry"})


@dataclass(frozen=True, slots=True)
class DeadLetterId:
    """Which letter: in text `<partition>-<ms>-<count>`, the last two being its id in the stream."""

    partition: int
    ms: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "DeadLetterId":
        """
        Raises:
            ValueError: no letter can have that id.
        """
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no dead letter's id")
        return cls(*map(int, match.groups()))

    @property
    def moment(self) -> tuple[int, int, int]:
        """By which letters are ordered, also those of one moment."""
        return self.ms, self.count, self.partition

    @property
    def stream_id(self) -> str:
        return f"{self.ms}-{self.count}"

    def __str__(self) -> str:
        return f"{self.partition}-{self.stream_id}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event given up at `at_ms`. `item` is None if its entry cannot be read.

    `registration` is '' for one of a subscription to a device; `registrations` are those that it concerns.
    """

    id: DeadLetterId
    subscription_id: str
    at_ms: int
    reason: str
    detail: str
    entry: str
    registration: str | None

    @property
    def item(self) -> OutboxItem | None:
        try:
            return parse_entry(self.entry)
        except ValueError:
            return None

    @property
    def registrations(self) -> list[str]:
        """Those that its event concerns, as far as is known."""
        return [self.registration] if self.registration else registrations_in(self.entry.partition("\n")[2])

    @property
    def event_id(self) -> str:
        """The id of the CloudEvent, or that of the subscription if the entry cannot be read."""
        item = self.item
        return self.subscription_id if item is None else f"{self.subscription_id}.{item.event_number}"

    @property
    def type(self) -> EventType | None:
        """None: it is not known."""
        item = self.item
        if item is None:
            return None
        if item.end:
            return EventType.SUBSCRIPTION_ENDED
        try:
            return EventType(json.loads(item.payload)["type"])
        except (KeyError, RecursionError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which letters; None, or 0 ms, filters nothing. `since_ms` and `until_ms` are included."""

    subscription: str | None = None
    registration: str | None = None
    reason: str | None = None
    type: EventType | None = None
    since_ms: int = 0
    until_ms: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        return (
            self.subscription in (None, letter.subscription_id)
            and (self.registration is None or self.registration in letter.registrations)
            and self.reason in (None, letter.reason)
            and self.type in (None, letter.type)
        )


class RedeliveryOutcome(StrEnum):
    """REDELIVERED, or why not. Source: lua/redeliver.lua for what it finds of the subscription.

    FULL: its subscription's outbox is. NEWER: a newer release wrote its subscription. DAMAGED: its
    subscription cannot be read. NOT_REDELIVERABLE: it would be given up again. NO_PAYLOAD: it was left out,
    as the store was full. END: it is a subscription-ended.
    """

    REDELIVERED = "redelivered"
    NO_LETTER = "no_letter"
    GONE = "gone"
    ENDED = "ended"
    NOT_OWNER = "not_owner"
    OTHERS_SESSION = "others_session"
    FULL = "full"
    NEWER = "newer"
    DAMAGED = "damaged"
    NOT_REDELIVERABLE = "not_redeliverable"
    NO_PAYLOAD = "no_payload"
    END = "end"


@dataclass(frozen=True, slots=True)
class Redelivery:
    """What became of an attempt to redeliver.

    `reason` is the terminationReason of an ENDED subscription, if it is known; why a DAMAGED one cannot be
    read; why a letter that is NOT_REDELIVERABLE was given up.
    """

    outcome: RedeliveryOutcome
    reason: str = ""


class DeadLetters:
    """The dead letters of a store. Pages through them: memory does not grow with their number."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._redis = store.client

    def now_ms(self) -> int:
        """The store's time, by which letters are numbered."""
        with store_errors():
            seconds, micros = self._redis.time()
        return int(seconds * 1000 + micros // 1000)

    def newest_first(self, wanted: DeadLetterFilter, max_pages: int | None = None) -> Iterator[DeadLetter]:
        """Of `max_pages` pages of each partition that may have some; None: of all."""
        found = [
            self._filtered(
                partition,
                wanted,
                islice(
                    scans.newest_first(self._redis, partition.dead, wanted.since_ms, wanted.until_ms),
                    max_pages,
                ),
            )
            for partition in self._partitions(wanted)
        ]
        return heapq.merge(*found, key=lambda letter: letter.id.moment, reverse=True)

    def oldest_first(self, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
        """Those there are at the start: what is redelivered in between may come back as a new letter."""
        found = [
            self._filtered(
                partition,
                wanted,
                scans.oldest_first(self._redis, partition.dead, wanted.since_ms, wanted.until_ms),
            )
            for partition in self._partitions(wanted)
        ]
        return heapq.merge(*found, key=lambda letter: letter.id.moment)

    def count(self, wanted: DeadLetterFilter) -> int:
        """How many there are where those that are wanted may be: an upper bound, at once."""
        with store_errors():
            pipe = self._redis.pipeline()
            for partition in self._partitions(wanted):
                pipe.xlen(partition.dead)
            return sum(answer for answer in answers_of(pipe) if isinstance(answer, int))

    def get(self, letter_id: DeadLetterId) -> DeadLetter | None:
        if letter_id.partition >= self._store.partitions:
            return None
        partition = Partition(letter_id.partition)
        with store_errors():
            raw = self._redis.xrange(partition.dead, letter_id.stream_id, letter_id.stream_id)
        return next(iter(self._letters(partition, raw)), None)

    def attempts(self, letter: DeadLetter) -> list[dict[str, Any]]:
        """The recent delivery attempts on its event, oldest first."""
        partition = Partition(letter.id.partition)
        found: list[dict[str, Any]] = []
        for page in scans.oldest_first(self._redis, partition.attempts):
            for _, fields in page:
                tried = read_attempts(fields)
                found += [attempt for attempt in tried if attempt["event"] == letter.event_id]
        return found

    def redeliver(self, letter: DeadLetter) -> Redelivery:
        """Moves it to the tail of its subscription's outbox, in one step. It keeps its event's id."""
        if referred_payload(letter.entry) is not None:
            return Redelivery(RedeliveryOutcome.NO_PAYLOAD)
        item, event_type = letter.item, letter.type
        if item is None or event_type is None or letter.reason in _NOT_REDELIVERABLE:
            return Redelivery(RedeliveryOutcome.NOT_REDELIVERABLE, letter.reason)
        if item.end:
            return Redelivery(RedeliveryOutcome.END)
        try:
            if self._is_of_others(letter):
                return Redelivery(RedeliveryOutcome.OTHERS_SESSION)
        except NewerRelease:
            return Redelivery(RedeliveryOutcome.NEWER)
        except DamagedRecord as error:
            return Redelivery(RedeliveryOutcome.DAMAGED, error.why)
        call = _redeliver_call(letter, item, self._store.deadlines.ms[event_type])
        outcome, reason = self._store.scripts.run([call])[0]
        return Redelivery(RedeliveryOutcome(outcome), reason)

    def _is_of_others(self, letter: DeadLetter) -> bool:
        """Whether its session has become known as one that its subscription's registration is not in."""
        subscription = self._store.subscriptions.get(letter.subscription_id)
        if subscription is None or subscription.session is None:
            return False
        return self._store.session_states.get(subscription.session).is_of_others(subscription.registration)

    def purge(self, letters: Iterable[DeadLetterId]) -> int:
        """Removes letters; returns how many of them there were."""
        removed, rest = 0, iter(letters)
        while batch := list(islice(rest, scans.PAGE)):
            by_partition: dict[int, list[str]] = defaultdict(list)
            for letter_id in batch:
                by_partition[letter_id.partition].append(letter_id.stream_id)
            with store_errors():
                pipe = self._redis.pipeline()
                for number, ids in by_partition.items():
                    pipe.xdel(Partition(number).dead, *ids)
                removed += sum(pipe.execute())
        return removed

    def _filtered(
        self, partition: Partition, wanted: DeadLetterFilter, pages: Iterable[list[scans.Entry]]
    ) -> Iterator[DeadLetter]:
        for page in pages:
            yield from filter(wanted.takes, self._letters(partition, page))

    def _letters(self, partition: Partition, page: list[scans.Entry]) -> list[DeadLetter]:
        registrations = self._registrations(partition, page)
        return [
            DeadLetter(
                DeadLetterId(partition.number, *map(int, stream_id.split("-"))),
                # A letter that lacks a field is shown with what it has.
                fields.get("subscription", ""),
                _moment(fields.get("at", ""), stream_id),
                fields.get("reason", ""),
                fields.get("detail", ""),
                fields.get("entry", ""),
                registration,
            )
            for (stream_id, fields), registration in zip(page, registrations, strict=True)
        ]

    def _registrations(self, partition: Partition, page: list[scans.Entry]) -> list[str | None]:
        """Of each letter. Those of the first release do not name it: their subscription may."""
        with store_errors():
            pipe = self._redis.pipeline()
            for _, fields in page:
                if "registration" not in fields:
                    pipe.hget(partition.subscription(fields.get("subscription", "")), "registration")
            answers = answers_of(pipe)
            found = iter([None if isinstance(answer, Exception) else answer for answer in answers])
        return [fields["registration"] if "registration" in fields else next(found) for _, fields in page]

    def _partitions(self, wanted: DeadLetterFilter) -> list[Partition]:
        count = self._store.partitions
        if wanted.subscription is not None:
            known = partition_of_subscription(wanted.subscription, count)
            return [] if known is None else [known]
        if wanted.registration is not None and not self._store.device_marks.exist():
            return [partition_of(wanted.registration, count)]
        return [Partition(number) for number in range(count)]


def _redeliver_call(letter: DeadLetter, item: OutboxItem, deadline_ms: int) -> Call:
    """Source: lua/redeliver.lua."""
    partition = Partition(letter.id.partition)
    args: list[str | int] = [
        letter.subscription_id,
        letter.id.stream_id,
        deadline_ms,
        item.sequence,
        keep_event_number(item),
    ]
    keys = [partition.subscription(letter.subscription_id), partition.dead]
    return Call("redeliver", keys, partition.tag, args)


# The end of the year 9999.
_LAST_MOMENT_MS = 253_402_300_799_999


def _moment(text: str, stream_id: str) -> int:
    """When it was given up; if that cannot be read, when it was kept."""
    at = text if re.fullmatch(r"[0-9]{1,15}", text) else stream_id.partition("-")[0]
    return min(int(at), _LAST_MOMENT_MS)
