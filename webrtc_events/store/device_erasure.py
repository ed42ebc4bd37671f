"""Removes what is kept of a device's subscriptions, on request."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from webrtc_events.store import scans
from webrtc_events.store.erasure import is_newer_format
from webrtc_events.store.keys import Partition, client_key, partition_of
from webrtc_events.store.redis.scripts import Call, WrongType, answers_of, store_errors
from webrtc_events.store.scans import pages_of_keys
from webrtc_events.store.store import Store

__all__ = ["DeviceErasure", "DeviceTraces"]

_ROUNDS = 3
_FIELDS = ("device", "client", "format")


@dataclass(frozen=True, slots=True)
class DeviceTraces:
    """What is kept of a device, in lower case.

    `clients` has the client of each subscription to it, by id. `newer` are those that a newer release wrote,
    and are skipped. `streams` has ids of dead letters, of attempts and of events in logs of channels, by the
    key of the stream. `sequences` are keys, and `ends` notes that one of its registrations ended, by key.
    """

    device: str
    clients: dict[str, str]
    newer: list[str]
    streams: dict[str, list[str]]
    sequences: list[str]
    ends: dict[str, list[str]]

    def __bool__(self) -> bool:
        """Whether there is something to erase."""
        return any(map(bool, (self.clients, self.streams, self.sequences, self.ends)))


class DeviceErasure:
    """The device's registrations are erased each for itself (erasure.py). May be interrupted and repeated."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._redis = store.client

    def find(self, device: str) -> DeviceTraces:
        """Writes nothing. Goes through the names of all keys, in small steps."""
        device = device.lower()
        partition = partition_of(device, self._store.partitions)
        found = self._subscriptions(partition, device)
        newer = [
            subscription_id for subscription_id, fields in found.items() if is_newer_format(fields["format"])
        ]
        mine = {name: fields["client"] or "" for name, fields in found.items() if name not in newer}
        return DeviceTraces(
            device=device,
            clients=mine,
            newer=newer,
            streams=self._streams(partition, mine),
            sequences=self._sequences(partition, mine),
            ends=self._ends(device),
        )

    def erase(self, traces: DeviceTraces) -> None:
        """Live subscriptions end without a word to their sinks; a claim under way settles as lost."""
        for _ in range(_ROUNDS):
            self._erase(traces)
            # What dispatchers wrote meanwhile.
            traces = self.find(traces.device)
            if not traces:
                return

    def _erase(self, traces: DeviceTraces) -> None:
        partition = partition_of(traces.device, self._store.partitions)
        with store_errors():
            pipe = self._redis.pipeline()
            for stream, ids in traces.streams.items():
                pipe.xdel(stream, *ids)
            for key, names in traces.ends.items():
                pipe.hdel(key, *names)
            for key in traces.sequences:
                pipe.delete(key)
            for subscription_id, client in traces.clients.items():
                pipe.zrem(client_key(client), subscription_id)
            # Indexes of another type hold nothing of them.
            answers_of(pipe)
        self._store.scripts.run(
            [
                # Source: lua/erase.lua.
                Call("erase", [partition.subscription(name)], partition.tag, [name, "", traces.device])
                for name in traces.clients
            ]
        )

    def _subscriptions(self, partition: Partition, device: str) -> dict[str, dict[str, str | None]]:
        found = {}
        for keys in pages_of_keys(self._redis, partition.subscription("*")):
            with store_errors():
                pipe = self._redis.pipeline()
                for key in keys:
                    pipe.hmget(key, _FIELDS)
                answers = answers_of(pipe)
            for key, values in zip(keys, answers, strict=True):
                fields: dict[str, str | None] = (
                    {} if isinstance(values, WrongType) else dict(zip(_FIELDS, values, strict=True))
                )
                if fields.get("device") == device:
                    found[key.rpartition(":")[2]] = fields
        return found

    def _streams(self, partition: Partition, ids: Collection[str]) -> dict[str, list[str]]:
        """Source of the fields: lua/shared/endings.lua, lua/settle.lua, lua/shared/channels.lua."""
        logs = [log for keys in pages_of_keys(self._redis, partition.channel_log("*")) for log in keys]
        found = {}
        for stream in (partition.dead, partition.attempts, *logs):
            mine = [
                entry_id
                for page in scans.oldest_first(self._redis, stream)
                for entry_id, fields in page
                if fields.get("subscription", fields.get("s")) in ids
            ]
            if mine:
                found[stream] = mine
        return found

    def _sequences(self, partition: Partition, ids: Collection[str]) -> list[str]:
        if not ids:
            return []
        pages = pages_of_keys(self._redis, partition.sequence("*", "*"))
        return [key for keys in pages for key in keys if key.split(":")[2] in ids]

    def _ends(self, device: str) -> dict[str, list[str]]:
        """Source: lua/sweep.lua."""
        keys = [partition.device_ends for partition in self._store.connection.partitions]
        with store_errors():
            pipe = self._redis.pipeline()
            for key in keys:
                pipe.hgetall(key)
            answers = answers_of(pipe)
        found = {}
        for key, notes in zip(keys, answers, strict=True):
            known = {} if isinstance(notes, WrongType) else notes
            mine = [name for name, text in known.items() if _device_in(text) == device]
            if mine:
                found[key] = mine
        return found


def _device_in(text: str) -> Any:
    try:
        return json.loads(text)["device"].lower()
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
