"""Records that cannot be read: what an operator does with them. What is damaged is found by reading all."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.store.keys import (
    RECENT_CALLS_KEY,
    Partition,
    client_key,
    partition_of_subscription,
)
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.record_defaults import RECORD_DEFAULTS
from webrtc_events.store.records import read_subscription
from webrtc_events.store.redis.scripts import answers_of, store_errors
from webrtc_events.store.scans import pages_of_keys
from webrtc_events.store.store import Store

__all__ = ["Damaged", "DamagedRecords", "escaped"]

# The type of every key, by what stands behind its hash tag. Source: keys.py.
_OF_PARTITION = {
    "attempts": "stream",
    "channel": "hash",
    "channel-log": "stream",
    "channel-subscriptions": "set",
    "clients": "zset",
    "clock": "string",
    "dead": "stream",
    "device": "set",
    "device-ends": "hash",
    "devices": "string",
    "due": "zset",
    "ended": "zset",
    "ending": "set",
    "ends": "zset",
    "hosts": "zset",
    "initial": "zset",
    "lacking": "set",
    "marks": "stream",
    "matched": "string",
    "outbox": "list",
    "payload": "hash",
    "payloads": "zset",
    "queue": "list",
    "rebuild": "set",
    "registration": "set",
    "registration-record": "hash",
    "registration-state": "hash",
    "seen": "string",
    "sequence": "string",
    "session": "set",
    "subscription": "hash",
}
_PARTITION_KEY = re.compile(r"\{(\d{1,9})\}:([a-z-]+)(?::(.*))?", re.DOTALL)
_OTHER_KEYS = (
    (re.compile(r"session:\{.*\}:(state|trace)", re.DOTALL), "hash"),
    (re.compile(r"session:\{.*\}", re.DOTALL), "set"),
    (re.compile(r"client:\{.*\}", re.DOTALL), "zset"),
    (re.compile(RECENT_CALLS_KEY), "zset"),
    (re.compile(r"channel:\{.*\}", re.DOTALL), "hash"),
    (re.compile(r"channels:\{.*\}", re.DOTALL), "zset"),
)
_SET_ASIDE = "set-aside:"
# Whose content the sweeper or a request makes anew from the records.
_INDEXES = frozenset({"device", "due", "ended", "ends", "initial", "payloads", "registration", "session"})
_COUNTS = ("appended", "attempts", "drop_before", "fence", "lease_until", "number")
_MAX_COUNT = re.compile(r"[0-9]{1,16}")
_MAX_BYTES = 65536
_MAX_PARTS = 100
_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Damaged:
    """`name` is what commands take: the subscription's id, or the key."""

    name: str
    key: str
    why: str


class DamagedRecords:
    """Goes through all keys in small steps; others are not held up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._redis = store.client

    def find(self) -> Iterator[Damaged]:
        """What is damaged, and what was set aside."""
        for keys in pages_of_keys(self._redis, "*"):
            for key, kind in zip(keys, self._run([("type", key) for key in keys]), strict=True):
                if key.startswith(_SET_ASIDE):
                    yield Damaged(key, key, f"a {kind} that was found in place of another type, set aside")
                    continue
                why = self._fault(key, kind)
                if why is not None:
                    yield Damaged(self._name(key), key, why)

    def find_one(self, name: str) -> list[Damaged]:
        """What is damaged under a name that `find` gives."""
        found = []
        for key in self._keys(name):
            (kind,) = self._run([("type", key)])
            if kind == "none":
                continue
            why = "it was set aside" if key.startswith(_SET_ASIDE) else self._fault(key, kind)
            if why is not None:
                found.append(Damaged(name, key, why))
        return found

    def show(self, name: str) -> list[dict[str, Any]]:
        """Every key of the name with its content, escaped and bounded; sealed credentials are left out."""
        shown = []
        for key in self._keys(name):
            (kind,) = self._run([("type", key)])
            if kind == "none":
                continue
            why = None if key.startswith(_SET_ASIDE) else self._fault(key, kind)
            content = self._content(key, kind)
            shown.append({"key": escaped(key), "type": kind, "why": why, "content": content})
        return shown

    def drop(self, name: str) -> bool:
        """Removes what is damaged under the name, for good; False: nothing under it is damaged."""
        damaged = self.find_one(name)
        if not damaged:
            return False
        partition = partition_of_subscription(name, self._store.partitions)
        if partition is not None and any(record.key == partition.subscription(name) for record in damaged):
            (client,) = self._run([("hget", partition.subscription(name), "client")])
            self._store.subscriptions.discard(name, client if isinstance(client, str) else "")
        else:
            self._run([("delete", record.key) for record in damaged])
        return True

    def repair(self, name: str) -> str | None:
        """Puts back into service what can be read (again); else why it cannot be."""
        partition = partition_of_subscription(name, self._store.partitions)
        if partition is not None:
            return self._repair_subscription(name, partition)
        match = _PARTITION_KEY.fullmatch(name)
        if match is not None and match[2] in _INDEXES:
            self._store.rebuild.run(Partition(int(match[1])), name)
            return None
        if name.startswith("client:{") and name.endswith("}"):
            self._store.rebuild.client(name.removeprefix("client:{").removesuffix("}"))
            return None
        damaged = self.find_one(name)
        return damaged[0].why if damaged else None

    def _repair_subscription(self, name: str, partition: Partition) -> str | None:
        damaged = self.find_one(name)
        if damaged:
            return damaged[0].why
        subscription = self._store.subscriptions.get(name)
        if subscription is None:
            return "there is no such subscription"
        with store_errors():
            now_ms = int(self._redis.time()[0]) * 1000
        if subscription.device is None:
            index = partition.registration(subscription.type, subscription.registration)
        else:
            index = partition.device(subscription.device, subscription.client)
        commands: list[tuple[Any, ...]] = [
            ("sadd", index, name),
            ("zadd", partition.due, {name: now_ms}),
            ("zadd", partition.ends, {name: now_ms}),
            ("zadd", client_key(subscription.client), {name: now_ms // 1000}),
            ("spublish", partition.wakeup, "1"),
        ]
        if subscription.session is not None:
            commands.append(("sadd", partition.session(subscription.session), name))
        self._run(commands)
        return None

    def _keys(self, name: str) -> list[str]:
        partition = partition_of_subscription(name, self._store.partitions)
        if partition is not None:
            return [partition.subscription(name), partition.outbox(name)]
        return [name]

    def _name(self, key: str) -> str:
        match = _PARTITION_KEY.fullmatch(key)
        if match is not None and match[2] in ("subscription", "outbox"):
            partition = partition_of_subscription(match[3] or "", self._store.partitions)
            if partition is not None and str(partition.number) == match[1]:
                return match[3]
        return key

    def _fault(self, key: str, kind: str) -> str | None:
        match = _PARTITION_KEY.fullmatch(key)
        if match is not None:
            wanted, room = _OF_PARTITION.get(match[2]), match[2]
        else:
            wanted = next((expected for pattern, expected in _OTHER_KEYS if pattern.fullmatch(key)), None)
            room = ""
        if wanted is None or kind == "none":
            return None
        if kind != wanted:
            return f"it is a {kind} and should be a {wanted}"
        if room == "subscription":
            return self._subscription_fault(key, (match and match[3]) or "")
        if room == "outbox":
            return self._outbox_fault(key)
        if room == "registration-record":
            return self._record_fault(key)
        return None

    def _subscription_fault(self, key: str, subscription_id: str) -> str | None:
        (fields,) = self._run([("hgetall", key)])
        if isinstance(fields, Exception) or not fields:
            return None
        try:
            found = read_subscription(subscription_id, fields)
        except NewerRelease:
            return None
        if isinstance(found, DamagedRecord):
            return found.why
        fields = {**RECORD_DEFAULTS, **fields}
        for field in _COUNTS:
            if not _MAX_COUNT.fullmatch(fields.get(field, "")):
                return f"its field {field} is no number"
        try:
            headers = json.loads(fields["headers"])
        except (RecursionError, ValueError):
            headers = None
        if not isinstance(headers, dict):
            return "its field headers is no JSON object"
        return None if fields.get("sink") else "it lacks its sink"

    def _outbox_fault(self, key: str) -> str | None:
        (entries,) = self._run([("lrange", key, 0, _ENTRIES - 1)])
        for place, entry in enumerate(() if isinstance(entries, Exception) else entries):
            try:
                parse_entry(entry)
            except ValueError:
                return f"its entry {place} cannot be read; a worker makes a dead letter of it"
        return None

    def _record_fault(self, key: str) -> str | None:
        ((owner, device, moment),) = self._run([("hmget", key, ("owner", "device", "expires_at_ms"))])
        if owner is None:
            return "it lacks its owner"
        if device is None:
            return "it lacks its device"
        if moment and not _MAX_COUNT.fullmatch(moment):
            return "its field expires_at_ms is no number"
        return None

    def _content(self, key: str, kind: str) -> Any:
        """The first parts of it."""
        match kind:
            case "hash":
                (found,) = self._run([("hgetall", key)])
                parts = list(found.items())[:_MAX_PARTS]
                return {
                    escaped(name): "(sealed)" if name == "credential" else escaped(value)
                    for name, value in parts
                }
            case "list":
                (found,) = self._run([("lrange", key, 0, _MAX_PARTS - 1)])
            case "set":
                (found,) = self._run([("srandmember", key, _MAX_PARTS)])
            case "zset":
                (found,) = self._run([("zrange", key, 0, _MAX_PARTS - 1)])
            case "stream":
                (found,) = self._run([("xrange", key, "-", "+", _MAX_PARTS)])
                return [
                    [entry_id, {escaped(n): escaped(v) for n, v in fields.items()}]
                    for entry_id, fields in found
                ]
            case _:
                (found,) = self._run([("getrange", key, 0, _MAX_BYTES)])
                found = [found]
        return [escaped(part) for part in found]

    def _run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        with store_errors():
            pipe = self._redis.pipeline()
            for name, *arguments in commands:
                getattr(pipe, name)(*arguments)
            return answers_of(pipe)


def escaped(text: str) -> str:
    r"""At most 64 KiB of it in printable ASCII; every other byte as `\xNN`, a backslash as two."""
    raw = text[:_MAX_BYTES].encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else _escape(byte) for byte in raw)


def _escape(byte: int) -> str:
    return "\\\\" if byte == 92 else f"\\x{byte:02x}"
