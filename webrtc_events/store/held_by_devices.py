"""What subscriptions to devices hold of a registration: found, and removed on request."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.store import scans
from webrtc_events.store.keys import Partition, partition_of, partition_of_subscription
from webrtc_events.store.outbox_entries import referred_payload, registrations_in
from webrtc_events.store.redis.scripts import Call, WrongType, answers_of, store_errors
from webrtc_events.store.scans import pages_of_keys
from webrtc_events.store.store import Store

__all__ = ["EventsHeldByDevices", "HeldByDevices"]

_ENTRIES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class HeldByDevices:
    """`entries` of outboxes, by subscription; `dead_letters`, ids in the streams of partitions by number;
    `channel_events`, ids in logs of channels; `ends`, notes for its devices, by key. `texts`: the payloads of
    the entries and the letters.
    """

    entries: dict[str, list[str]]
    dead_letters: dict[int, list[str]]
    channel_events: dict[str, list[str]]
    ends: dict[str, list[str]]
    texts: list[str]

    def __bool__(self) -> bool:
        return any(map(bool, (self.entries, self.dead_letters, self.channel_events, self.ends)))


class EventsHeldByDevices:
    """The subscriptions are not the registration's: they stay, without its events.

    A device may have been another one: so every partition is looked into, where the store has any
    subscription to a device.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._redis = store.client

    def find(self, registration: str) -> HeldByDevices:
        """Writes nothing. Goes through the names of all keys, in small steps."""
        if not self._store.device_marks.exist():
            return HeldByDevices({}, {}, {}, {}, [])
        texts: list[str] = []
        return HeldByDevices(
            entries=self._entries(registration, texts),
            dead_letters=self._dead_letters(registration, texts),
            channel_events=self._channel_events(registration),
            ends=self._ends(registration),
            texts=texts,
        )

    def erase(self, held: HeldByDevices) -> None:
        """A claim that has one of the entries settles as lost, and what else it has is sent again."""
        with store_errors():
            pipe = self._redis.pipeline()
            for number, ids in held.dead_letters.items():
                pipe.xdel(Partition(number).dead, *ids)
            for log, ids in held.channel_events.items():
                pipe.xdel(log, *ids)
            for key, names in held.ends.items():
                pipe.hdel(key, *names)
            answers_of(pipe)
        self._store.scripts.run(list(self._drop_calls(held)))

    def _drop_calls(self, held: HeldByDevices) -> Iterator[Call]:
        """Source: lua/drop_entries.lua."""
        for subscription_id, entries in held.entries.items():
            partition = partition_of_subscription(subscription_id, self._store.partitions)
            if partition is None:
                continue
            key = partition.subscription(subscription_id)
            for first in range(0, len(entries), _ENTRIES_AT_ONCE):
                some = entries[first : first + _ENTRIES_AT_ONCE]
                yield Call("drop_entries", [key], partition.tag, [subscription_id, *some])

    def _entries(self, registration: str, texts: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for keys in pages_of_keys(self._redis, "{*}:outbox:*"):
            known = self._to_devices(keys)
            for key, outbox in zip(known, self._ask_of(known, "lrange", 0, -1), strict=True):
                if isinstance(outbox, WrongType):
                    continue
                mine = list(self._mine(key, outbox, registration, texts))
                if mine:
                    found[key.rpartition(":")[2]] = mine
        return found

    def _to_devices(self, outboxes: Sequence[str]) -> list[str]:
        """Those of subscriptions to a device."""
        subscriptions = [key.replace(":outbox:", ":subscription:", 1) for key in outboxes]
        devices = self._ask_of(subscriptions, "hget", "device")
        return [key for key, device in zip(outboxes, devices, strict=True) if isinstance(device, str)]

    def _mine(self, key: str, outbox: Iterable[str], registration: str, texts: list[str]) -> Iterator[str]:
        """The entries that are of the registration, some of which may refer to payloads there."""
        tag = key.partition(":")[0]
        referred = {entry: sha for entry in outbox if (sha := referred_payload(entry)) is not None}
        keys = [f"{tag}:payload:{sha}" for sha in referred.values()]
        payloads = dict(zip(referred, self._ask_of(keys, "hget", "payload"), strict=True))
        for entry in outbox:
            text = payloads[entry] if entry in payloads else entry.partition("\n")[2]
            if isinstance(text, str) and registration in registrations_in(text):
                texts.append(text)
                yield entry

    def _dead_letters(self, registration: str, texts: list[str]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for partition in self._store.connection.partitions:
            for page in scans.oldest_first(self._redis, partition.dead):
                for stream_id, fields in page:
                    text = fields.get("entry", "").partition("\n")[2]
                    if registration in registrations_in(text):
                        texts.append(text)
                        found[partition.number].append(stream_id)
        return dict(found)

    def _channel_events(self, registration: str) -> dict[str, list[str]]:
        """Source of the field: lua/settle.lua."""
        found = {}
        for keys in pages_of_keys(self._redis, "{*}:channel-log:*"):
            for log in keys:
                ids = [
                    entry_id
                    for page in scans.oldest_first(self._redis, log)
                    for entry_id, fields in page
                    if registration in _names_in(fields.get("r", ""))
                ]
                if ids:
                    found[log] = ids
        return found

    def _ends(self, registration: str) -> dict[str, list[str]]:
        key = partition_of(registration, self._store.partitions).device_ends
        (names,) = self._ask_of([key], "hkeys")
        mine = [] if isinstance(names, WrongType) else names
        mine = [name for name in mine if name.partition(" ")[2] == registration]
        return {key: mine} if mine else {}

    def _ask_of(self, keys: Iterable[str], command: str, *arguments: Any) -> list[Any]:
        with store_errors():
            pipe = self._redis.pipeline()
            for key in keys:
                getattr(pipe, command)(key, *arguments)
            return answers_of(pipe)


def _names_in(text: str) -> list[str]:
    """Of an event of a subscription to a device; a subscription to a registration has its name there."""
    if not text.startswith('["'):
        return []
    try:
        names = json.loads(text)
    except (RecursionError, ValueError):
        return []
    return names if isinstance(names, list) else []
