"""Notification channels: the record of each, and how many a client has."""

import hashlib
import hmac
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.errors import DamagedRecord, NewerRelease, Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.connection import Connection
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.keys import Partition, channel_key, client_channels_key
from webrtc_events.store.redis.scripts import Call, WrongType, store_errors

__all__ = ["Channel", "ChannelRecords", "hash_of_token"]

log = logging.getLogger(__name__)

_PARTITION = re.compile(r"partition:([0-9]{1,5})")
_FORMAT = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel. `subject`: of which user, None for a client's own.

    `partitions`: those in which it has a log, or may have one. `expires_at_ms`: when it ends unless it is
    used before. `is_ending`: its owner has deleted it, and nothing may be done with it any more.
    """

    id: str
    client: str
    subject: str | None
    token_hash: str
    partitions: tuple[int, ...]
    expires_at_ms: int
    is_ending: bool

    def admits(self, token: str) -> bool:
        """Whether it is the token that its readers have."""
        return hmac.compare_digest(self.token_hash, hash_of_token(token))


def hash_of_token(token: str) -> str:
    """What is kept of a token, which has 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class ChannelRecords:
    """A channel lives while it is used, and `idle_ms` longer. Every method may raise `errors.Unavailable`.

    `admits`: new ones may be made, see `first_start.admits_channels`.
    """

    def __init__(self, connection: Connection, settings: Settings, *, admits: bool = True) -> None:
        self._admits = admits
        self._connection = connection
        self._idle_ms = settings.channel_idle_s * 1000
        self._max_channels = settings.max_channels

    @property
    def idle_ms(self) -> int:
        """How long one lives that nobody uses."""
        return self._idle_ms

    def make(self, channel_id: str, client: str, subject: str | None, token: str) -> Channel | None:
        """A new one; None: the client has as many as it may.

        Raises:
            Unavailable: also where a worker of 0.1.0 may run, which would POST to the channel's URL.
        """
        if not self._admits:
            log.error(
                "no channel is made: release 0.1.0 has used this store, and its workers would POST to the "
                "channel. Once none of its processes is left, set WEBRTC_EVENTS_SHARED_PAYLOADS=on"
            )
            raise Unavailable
        self._connection.guard.check()
        if not self._name(client, channel_id, self._max_channels):
            return None
        fields = ["client", client, "subject", subject or "", "token", hash_of_token(token)]
        try:
            made_ms = int(self._run("make_channel", channel_id, *fields))
        except Unavailable:
            # Nobody will know of it. Where the index is out too, it counts until it would have ended.
            with suppress(Unavailable):
                self._unname(client, channel_id)
            raise
        return Channel(
            channel_id, client, subject, hash_of_token(token), (), made_ms + self._idle_ms, is_ending=False
        )

    def get(self, channel_id: str) -> Channel | None:
        """
        Raises:
            DamagedRecord: it cannot be read.
        """
        try:
            with store_errors():
                fields = self._connection.client.hgetall(channel_key(channel_id))
        except WrongType:
            raise DamagedRecord(channel_key(channel_id), "it is a key of another type") from None
        return self._read(channel_id, fields)

    def use(self, channel: Channel) -> Channel | None:
        """It is in use. None: it is gone, or its owner has deleted it."""
        found = self._used(channel.id, "use")
        if found is not None:
            self._name(channel.client, channel.id, 0)
        return found

    def join(self, channel_id: str, partition: int) -> Channel | None:
        """It has a log in that partition from now on. None: as `use`."""
        return self._used(channel_id, "join", partition)

    def end(self, channel_id: str) -> Channel | None:
        """From now on nothing can be done with it but to remove what is left of it. None: it is gone."""
        return self._used(channel_id, "end")

    def remove(self, channel: Channel) -> None:
        """The last step: whatever leads to the rest goes with it."""
        with store_errors():
            pipe = self._connection.client.pipeline()
            for partition in map(Partition, channel.partitions):
                pipe.delete(partition.channel_subscriptions(channel.id))
            pipe.zrem(client_channels_key(channel.client), channel.id)
            pipe.delete(channel_key(channel.id))
            # An index of another type holds nothing of it.
            pipe.execute(raise_on_error=False)

    def _unname(self, client: str, channel_id: str) -> None:
        with store_errors():
            self._connection.client.zrem(client_channels_key(client), channel_id)

    def _name(self, client: str, channel_id: str, limit: int) -> bool:
        args: list[str | int] = [channel_id, self._idle_ms, limit or ""]
        return bool(self._connection.run(Call("reserve_channel", [client_channels_key(client)], "", args)))

    def _used(self, channel_id: str, *how: str | int) -> Channel | None:
        flat: Sequence[str] = self._run("use_channel", channel_id, *how)
        return self._read(channel_id, dict(zip(flat[::2], flat[1::2], strict=True)))

    def _run(self, script: str, channel_id: str, *args: str | int) -> Any:
        key = channel_key(channel_id)
        try:
            with store_errors():
                return self._connection.run(Call(script, [key], "", [self._idle_ms, *args]))
        except WrongType:
            raise DamagedRecord(key, "it is a key of another type") from None

    def _read(self, channel_id: str, fields: Mapping[str, str]) -> Channel | None:
        if not fields:
            return None
        text = fields.get("format", "")
        if _FORMAT.fullmatch(text) and int(text) > FORMAT:
            raise NewerRelease
        try:
            return Channel(
                id=channel_id,
                client=fields["client"],
                subject=fields["subject"] or None,
                token_hash=fields["token"],
                partitions=tuple(sorted(self._partitions(fields))),
                expires_at_ms=int(fields["used_at"]) + self._idle_ms,
                is_ending="ended" in fields,
            )
        except (KeyError, ValueError) as error:
            raise DamagedRecord(
                channel_key(channel_id), f"it lacks a field, or has a wrong one: {error}"
            ) from None

    def _partitions(self, fields: Mapping[str, str]) -> set[int]:
        found = {int(match[1]) for match in map(_PARTITION.fullmatch, fields) if match}
        return {number for number in found if number < self._connection.partition_count}
