"""Removes what is kept of a registration, on request."""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from webrtc_events.core.model import EventType
from webrtc_events.store import scans
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.held_by_devices import EventsHeldByDevices, HeldByDevices
from webrtc_events.store.keys import (
    RECENT_CALLS_KEY,
    REGISTRATION_FIELD,
    Partition,
    call_trace_key,
    client_key,
    erased_key,
    partition_of,
    session_of_trace,
    session_state_key,
    set_aside_key,
)
from webrtc_events.store.outbox_entries import parse_entry, referred_payload
from webrtc_events.store.redis.scripts import Call, WrongType, answers_of, store_errors
from webrtc_events.store.scans import pages_of_keys
from webrtc_events.store.set_aside_logs import set_aside_logs
from webrtc_events.store.store import Store

__all__ = ["Erasure", "Traces", "is_newer_format"]

_ROUNDS = 3
# An attempt that is under way ends before its lease does, and is in the trace of its call a moment later.
_TRACES_KEPT_OUT_MS = 120_000
_FIELDS = ("registration", "client", "session", "format")
# Of a session's state; its other fields are the registrations that it involves.
_LATEST_STATUS = ("name", "payload", "at", "count", "last")
_TYPES = (EventType.SESSION_INVITATION, EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS)


@dataclass(frozen=True, slots=True)
class Traces:
    """What is kept of a registration.

    `clients` has the client of each of its subscriptions, by id. `newer` are those that a newer
    release wrote, and are skipped. `dead_letters` and `attempts` are ids in their streams, `channel_events`
    those in the logs of channels, by the log's key; `set_aside_logs` are keys that stood in place of
    such logs, and name it. `sequences`, `sessions`, `calls` (traces of its media
    sessions) and `own` (its record, its latest state, its indexes) are keys. `of_devices`: what subscriptions
    to devices hold of it.
    """

    registration: str
    clients: dict[str, str]
    newer: list[str]
    dead_letters: list[str]
    attempts: list[str]
    channel_events: dict[str, list[str]]
    set_aside_logs: list[str]
    sequences: list[str]
    sessions: list[str]
    calls: list[str]
    own: list[str]
    of_devices: HeldByDevices

    def __bool__(self) -> bool:
        """Whether there is something to erase."""
        kept = (self.clients, self.dead_letters, self.attempts, self.channel_events, self.sequences)
        others = (self.set_aside_logs, self.sessions, self.calls, self.own, self.of_devices)
        return any(map(bool, (*kept, *others)))


class Erasure:
    """Finds and removes. May be interrupted anywhere and repeated: what leads to the rest goes last."""

    def __init__(self, store: Store) -> None:
        self._redis = store.client
        self._scripts = store.scripts
        self._partitions = store.partitions
        self._devices = EventsHeldByDevices(store)

    def find(self, registration: str) -> Traces:
        """Writes nothing. Goes through the names of all keys, in small steps."""
        partition = partition_of(registration, self._partitions)
        found = self._subscriptions(partition, registration)
        newer = [found_id for found_id, fields in found.items() if is_newer_format(fields["format"])]
        mine = {found_id: fields for found_id, fields in found.items() if found_id not in newer}
        dead_letters = self._entries(partition.dead, registration, mine)
        attempts = self._entries(partition.attempts, registration, mine)
        led_to = {fields["session"] for fields in mine.values()}
        led_to |= self._sessions_of_events(partition, registration, mine, dead_letters)
        of_devices = self._devices.find(registration)
        led_to |= set(filter(None, map(_session_in, of_devices.texts)))
        return Traces(
            registration=registration,
            clients={subscription_id: fields["client"] for subscription_id, fields in mine.items()},
            newer=newer,
            dead_letters=[stream_id for stream_id, _ in dead_letters],
            attempts=[stream_id for stream_id, _ in attempts],
            channel_events=self._channel_events(partition, registration),
            set_aside_logs=set_aside_logs(self._redis, partition, {registration, *mine}),
            sequences=self._sequences(partition, mine),
            sessions=self._sessions(registration, led_to),
            calls=self._calls(registration, led_to),
            own=[] if newer else self._own(partition, registration),
            of_devices=of_devices,
        )

    def erase(self, traces: Traces) -> None:
        """Live subscriptions end without a word to their sinks; a claim under way settles as lost.

        For two minutes no trace of a call is written that names the registration.
        """
        with store_errors():
            self._redis.set(erased_key(traces.registration), "", px=_TRACES_KEPT_OUT_MS)
        for _ in range(_ROUNDS):
            self._erase(traces)
            # What dispatchers wrote meanwhile names the registration. Whoever goes on publishing has no end.
            traces = self.find(traces.registration)
            if not traces:
                return

    def _erase(self, traces: Traces) -> None:
        partition = partition_of(traces.registration, self._partitions)
        with store_errors():
            pipe = self._redis.pipeline()
            for stream, ids in ((partition.dead, traces.dead_letters), (partition.attempts, traces.attempts)):
                if ids:
                    pipe.xdel(stream, *ids)
            for log, ids in traces.channel_events.items():
                pipe.xdel(log, *ids)
            for key in traces.sequences:
                pipe.delete(key)
            for key in traces.sessions:
                # A hash without fields is gone.
                pipe.hdel(key, *_LATEST_STATUS, REGISTRATION_FIELD + traces.registration)
            for key in (*traces.calls, *traces.set_aside_logs):
                pipe.unlink(key)
            pipe.execute()
            for key in traces.calls:
                pipe.zrem(RECENT_CALLS_KEY, session_of_trace(key))
            for subscription_id, client in traces.clients.items():
                pipe.zrem(client_key(client or ""), subscription_id)
            # Indexes of another type hold nothing of them.
            answers_of(pipe)
        self._devices.erase(traces.of_devices)
        self._scripts.run(
            [
                _erase_call(partition, subscription_id, traces.registration)
                for subscription_id in traces.clients
            ]
        )
        counted_since = self._sequences(partition, traces.clients)
        with store_errors():
            pipe = self._redis.pipeline()
            for key in (*counted_since, *traces.own):
                pipe.delete(key)
            if not traces.newer:
                pipe.zrem(partition.ends, f"registration:{traces.registration}")
            pipe.execute()

    def _subscriptions(self, partition: Partition, registration: str) -> dict[str, dict[str, str]]:
        """Some fields of each to that registration, ended ones too, by id."""
        found = {}
        for keys in pages_of_keys(self._redis, partition.subscription("*")):
            for key, values in zip(keys, self._ask_of(keys, "hmget", _FIELDS), strict=True):
                if isinstance(values, WrongType):
                    continue
                fields = dict(zip(_FIELDS, values, strict=True))
                if fields["registration"] == registration:
                    found[key.rpartition(":")[2]] = fields
        return found

    def _entries(self, stream: str, registration: str, ids: Collection[str]) -> list[scans.Entry]:
        """Of the registration; those of the first release name its subscription alone."""
        return [
            (entry_id, fields)
            for page in scans.oldest_first(self._redis, stream)
            for entry_id, fields in page
            if fields.get("registration") == registration or fields.get("subscription") in ids
        ]

    def _channel_events(self, partition: Partition, registration: str) -> dict[str, list[str]]:
        """The events in logs of channels. Source of the field: lua/shared/channels.lua."""
        found = {}
        for keys in pages_of_keys(self._redis, partition.channel_log("*")):
            for log in keys:
                ids = [
                    entry_id
                    for page in scans.oldest_first(self._redis, log)
                    for entry_id, fields in page
                    if fields.get("r") == registration
                ]
                if ids:
                    found[log] = ids
        return found

    def _sessions_of_events(
        self,
        partition: Partition,
        registration: str,
        ids: Collection[str],
        dead_letters: Iterable[scans.Entry],
    ) -> set[str]:
        """The sessions of its events that wait, that were given up, and of its latest invitation."""
        outboxes = [partition.outbox(subscription_id) for subscription_id in ids]
        waiting = self._ask_of(outboxes, "lrange", 0, -1)
        entries = [entry for outbox in waiting if isinstance(outbox, list) for entry in outbox]
        entries += [fields.get("entry", "") for _, fields in dead_letters]
        shared = {sha for sha in map(referred_payload, entries) if sha is not None}
        payloads = self._ask_of([partition.payload(sha) for sha in shared], "hget", "payload")
        state = [partition.registration_state(registration)]
        invited = self._ask_of(state, "hget", "invitation_session")
        latest = [session for session in invited if isinstance(session, str)]
        led_to = {*map(_session_of, entries), *map(_session_in, payloads)}
        return {*latest, *filter(None, led_to)}

    def _sequences(self, partition: Partition, ids: Collection[str]) -> list[str]:
        if not ids:
            return []
        pages = pages_of_keys(self._redis, partition.sequence("*", "*"))
        return [key for keys in pages for key in keys if key.split(":")[2] in ids]

    def _sessions(self, registration: str, led_to: Collection[str]) -> list[str]:
        """States of sessions that name it, and of those it led to that name nobody."""
        anonymous = {session_state_key(session) for session in led_to}
        found = set()
        for keys in pages_of_keys(self._redis, session_state_key("*")):
            for key, fields in zip(keys, self._ask_of(keys, "hkeys"), strict=True):
                if isinstance(fields, Exception):
                    continue
                named = {field for field in fields if field.startswith(REGISTRATION_FIELD)}
                if REGISTRATION_FIELD + registration in named or (not named and key in anonymous):
                    found.add(key)
        return sorted(found)

    def _calls(self, registration: str, led_to: Collection[str]) -> list[str]:
        """Traces of sessions that involve it, and of those it led to that involve nobody by name."""
        field = REGISTRATION_FIELD + registration
        found = set()
        for keys in pages_of_keys(self._redis, call_trace_key("*")):
            answers = zip(keys, self._ask_of(keys, "hexists", field), strict=True)
            found |= {key for key, there in answers if there and not isinstance(there, Exception)}
        anonymous = [call_trace_key(session) for session in led_to]
        for key, fields in zip(anonymous, self._ask_of(anonymous, "hkeys"), strict=True):
            names = [] if isinstance(fields, Exception) else fields
            if names and not any(name.startswith(REGISTRATION_FIELD) for name in names):
                found.add(key)
        return sorted(found)

    def _own(self, partition: Partition, registration: str) -> list[str]:
        keys = [
            partition.registration_record(registration),
            partition.registration_state(registration),
            partition.ending(registration),
            *(partition.registration(event_type, registration) for event_type in _TYPES),
        ]
        keys += [set_aside_key(key) for key in keys]
        return [key for key, there in zip(keys, self._ask_of(keys, "exists"), strict=True) if there]

    def _ask_of(self, keys: Iterable[str], command: str, *arguments: Any) -> list[Any]:
        """A reading command for each key."""
        with store_errors():
            pipe = self._redis.pipeline()
            for key in keys:
                getattr(pipe, command)(key, *arguments)
            # Of a key of another type nothing is known.
            answers: list[Any] = answers_of(pipe)
        return answers


def _erase_call(partition: Partition, subscription_id: str, registration: str) -> Call:
    """Source: lua/erase.lua."""
    key = partition.subscription(subscription_id)
    return Call("erase", [key], partition.tag, [subscription_id, registration, ""])


def is_newer_format(text: str | None) -> bool:
    """What cannot be read was not written by a newer release."""
    return bool(text and re.fullmatch("[0-9]{1,4}", text)) and int(text or 0) > FORMAT


def _session_of(entry: str) -> str | None:
    try:
        return _session_in(parse_entry(entry).payload)
    except ValueError:
        return None


def _session_in(payload: Any) -> str | None:
    try:
        session = json.loads(payload)["data"]["mediaSessionId"]
    except (KeyError, RecursionError, TypeError, ValueError):
        return None
    return session if isinstance(session, str) else None
