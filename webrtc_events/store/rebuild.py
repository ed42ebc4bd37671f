"""Makes an index anew that is a key of another type, from the records, which say what it held.

The broken key is kept as `set-aside:<its name>`. May be interrupted, and done by several at once.
"""

import secrets
from collections.abc import Iterator
from typing import Any

from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition, client_key, end_note, partition_of_subscription
from webrtc_events.store.redis.scripts import Call, WrongType, answers_of, store_errors
from webrtc_events.store.scans import pages_of_keys
from webrtc_events.store.standings import Standing, standing_call, standing_of

__all__ = ["Rebuild"]

_FIELDS = (
    "status",
    "ended_at",
    "type",
    "registration",
    "session",
    "initial_pending",
    "token_cut_at",
    "client",
    "device",
)
# A half filled index that was left by a crash goes by itself.
_FILLED_TTL_S = 600


class Rebuild:
    """Of the indexes of partitions. `retention_ms`: how long a subscription is kept once it ended."""

    def __init__(self, connection: Connection, retention_ms: int) -> None:
        self._redis = connection.client
        self._scripts = connection.scripts
        self._partitions = connection.partition_count
        self._retention_ms = retention_ms

    def run(self, partition: Partition, index: str) -> None:
        """
        Raises:
            Unavailable: the store does not answer; to be done again.
        """
        if index in (partition.due, partition.ends, partition.initial, partition.ended, partition.payloads):
            self._reindex(partition, index, "zset")
            for scores in self._scores(partition, index):
                self._send([("zadd", index, scores, True)])
        else:
            filled = f"filling:{index}:{secrets.token_hex(4)}"
            for ids in self._members(partition, index):
                self._send([("sadd", filled, *ids), ("expire", filled, _FILLED_TTL_S)])
            self._send([("persist", filled)])
            self._reindex(partition, index, "set", filled)
        self._send([("srem", partition.rebuild, index)])

    def client(self, client: str) -> None:
        """The index of a client's subscriptions.

        Raises:
            Unavailable: as `run`.
        """
        key = client_key(client)
        with store_errors():
            seconds, _ = self._redis.time()
        self._scripts.run([Call("reindex", [key], "", ["zset", ""])])
        for number in range(self._partitions):
            for records in self._records(Partition(number)):
                own = {
                    subscription_id: standing_of(fields["status"])
                    for subscription_id, fields in records
                    if fields.get("client") == client
                }
                if own:
                    self._send([("zadd", key, dict.fromkeys(own, seconds), True)])
                    self._scripts.run([standing_call(client, own)])

    def _reindex(self, partition: Partition, index: str, kind: str, filled: str = "") -> None:
        self._scripts.run([Call("reindex", [index], partition.tag, [kind, filled])])

    def _send(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        with store_errors():
            pipe = self._redis.pipeline()
            for name, *arguments in commands:
                getattr(pipe, name)(*arguments)
            return answers_of(pipe)

    def _records(self, partition: Partition) -> Iterator[list[tuple[str, dict[str, str | None]]]]:
        """Id and some fields of each subscription; of one that cannot be read no field."""
        for keys in pages_of_keys(self._redis, partition.subscription("*")):
            ids = [key.removeprefix(partition.subscription("")) for key in keys]
            known = [
                subscription_id
                for subscription_id in ids
                if partition_of_subscription(subscription_id, self._partitions)
            ]
            answers = self._send(
                [("hmget", partition.subscription(subscription_id), _FIELDS) for subscription_id in known]
            )
            yield list(zip(known, map(_named_fields, answers), strict=True))

    def _members(self, partition: Partition, index: str) -> Iterator[list[str]]:
        for records in self._records(partition):
            ids = [
                subscription_id
                for subscription_id, fields in records
                if fields.get("status") in ("ACTIVE", "ACTIVATION_REQUESTED")
                and index
                in (
                    partition.registration(fields["type"] or "", fields["registration"] or ""),
                    partition.session(fields["session"] or ""),
                    partition.device(fields["device"] or "", fields["client"] or ""),
                )
            ]
            if ids:
                yield ids

    def _scores(self, partition: Partition, index: str) -> Iterator[dict[str, int]]:
        with store_errors():
            now_ms = int(self._redis.time()[0]) * 1000
        if index == partition.due:
            for keys in pages_of_keys(self._redis, partition.outbox("*")):
                yield {key.removeprefix(partition.outbox("")): now_ms for key in keys}
            return
        if index == partition.ended:
            for records in self._records(partition):
                notes = [
                    end_note(fields["client"] or "", subscription_id)
                    for subscription_id, fields in records
                    if _counts_no_more(fields)
                ]
                if notes:
                    yield dict.fromkeys(notes, 0)
            return
        if index == partition.payloads:
            for keys in pages_of_keys(self._redis, partition.payload("*")):
                yield {key.removeprefix(partition.payload("")): now_ms for key in keys}
            return
        for records in self._records(partition):
            scores = {
                subscription_id: self._score(fields, now_ms, ends=index == partition.ends)
                for subscription_id, fields in records
            }
            found = {subscription_id: score for subscription_id, score in scores.items() if score is not None}
            if found:
                yield found
        if index == partition.ends:
            prefix = partition.registration_record("")
            for keys in pages_of_keys(self._redis, f"{prefix}*"):
                names = [key.removeprefix(prefix) for key in keys]
                moments = self._send([("hget", key, "expires_at_ms") for key in keys])
                ends = {
                    f"registration:{name}": int(moment)
                    for name, moment in zip(names, moments, strict=True)
                    if isinstance(moment, str) and moment.isdecimal()
                }
                if ends:
                    yield ends

    def _score(self, fields: dict[str, str | None], now_ms: int, *, ends: bool) -> int | None:
        """None: it is not in that index. The sweep gives one that lives the moment of its end."""
        if not ends:
            return now_ms if fields.get("initial_pending") else None
        if ended_at := fields.get("ended_at"):
            return int(ended_at) + self._retention_ms if ended_at.isdecimal() else now_ms
        if fields.get("status") in ("ACTIVE", "ACTIVATION_REQUESTED"):
            return now_ms
        cut_at = fields.get("token_cut_at") or ""
        return int(cut_at) if cut_at.isdecimal() else None


def _named_fields(values: Any) -> dict[str, str | None]:
    """Of one that cannot be read there are none."""
    return {} if isinstance(values, WrongType) else dict(zip(_FIELDS, values, strict=True))


def _counts_no_more(fields: dict[str, str | None]) -> bool:
    return fields.get("client") is not None and standing_of(fields["status"]) is Standing.ENDED
