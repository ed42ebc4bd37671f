"""The store: the only importer of redis. One method is one atomic step of one partition.

Every method raises `errors.Unavailable` when the store cannot be reached, is too full, or
does not answer in time. Time here is the store's own, in ms since the epoch.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, MasterDownError, NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from webrtc_events.errors import Unavailable
from webrtc_events.keys import Partition, client_key, partition_of, partition_of_subscription, session_key
from webrtc_events.model import (
    Claim,
    EventType,
    NetworkEvent,
    OutboxItem,
    Registration,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.settings import Settings

__all__ = [
    "AppendResult",
    "DeadLetter",
    "PartitionMismatch",
    "Settlement",
    "Store",
    "StoreOptions",
    "Wakeups",
]

# Untyped: redis-py's own types leave open whether an answer is bytes or text.
_Client = Any

# A command that takes longer than this is as good as lost; callers get 503 and try again.
_TIMEOUT_S = 2.0
_REPLICA_WAIT_MS = 1_000
_LOOK_AWAY_MS = 60_000
# A script holds up the store for all: 50 events to 300 subscriptions take some 50 ms.
_EVENTS_PER_APPEND = 50
# Counted from the latest subscription to the session or event of it: no call lasts that long.
_SESSION_INDEX_TTL_S = 30 * 24 * 3600
_STREAM_CAP = 1_000
_STREAM_TTL_MS = 7 * 24 * 3600 * 1000


class PartitionMismatch(Exception):
    """The store was first started with another number of partitions."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Spans that the scripts need, in ms. `offset_ms` shifts the store's clock, in tests only."""

    lease_ms: int = 30_000
    offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What a partition did with one event."""

    new: bool
    subscriptions: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event given up: its outbox number and why."""

    number: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claim.

    `through` is the outbox number up to which all are done with. At most one of `retry`
    (delay in ms, failed attempts of the first event left) and `end` (reason, whether the
    sink is still told) is given; neither means: go on with what is left.
    """

    claim: Claim
    through: int
    dead: tuple[DeadLetter, ...] = ()
    attempts: tuple[dict[str, Any], ...] = ()
    retry: tuple[int, int] | None = None
    end: tuple[TerminationReason, bool] | None = None


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str


@dataclass(frozen=True, slots=True)
class _Call:
    script: _Script
    keys: Sequence[str]
    args: Sequence[str | int]


def _load_script(name: str) -> _Script:
    """The script's own first line (its flags), then what all scripts share, then the rest."""
    folder = files("webrtc_events") / "lua"
    first, _, rest = (folder / f"{name}.lua").read_text().partition("\n")
    text = "\n".join((first, (folder / "common.lua").read_text(), rest))
    return _Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise Unavailable("The store cannot be reached at the moment; try again.") from error
    except redis.OutOfMemoryError as error:
        raise Unavailable("The store is full at the moment; try again later.") from error
    except (redis.ReadOnlyError, ClusterDownError, MasterDownError) as error:
        raise Unavailable("The store takes no writes at the moment; try again.") from error
    except ResponseError as error:
        # redis-py has a class for most error codes, but none for this one: a script runs long.
        if not str(error).startswith("BUSY "):
            raise
        raise Unavailable("The store is busy at the moment; try again.") from error


class Store:
    """Subscriptions, outboxes and registrations in Redis or Valkey (7 or later)."""

    def __init__(self, client: _Client, settings: Settings, options: StoreOptions = StoreOptions()) -> None:
        self._redis = client
        self._settings = settings
        self._options = options
        self._scripts = {
            name: _load_script(name) for name in ("create", "append", "claim", "settle", "end", "sweep")
        }
        self._end_deadline_ms = settings.deadline_ms(EventType.SUBSCRIPTION_ENDED)

    @classmethod
    def connect(cls, settings: Settings, options: StoreOptions = StoreOptions()) -> "Store":
        """Opens the store and checks that it was made for as many partitions.

        Raises:
            Unavailable: it cannot be reached.
            PartitionMismatch: it was made for another number.
        """
        # One retry, at once: a connection that the store closed while idle is replaced, while
        # a store that is down is reported quickly. Every script may be repeated safely.
        client: _Client = redis.Redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )
        store = cls(client, settings, options)
        store._check_partitions()
        return store

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    def close(self) -> None:
        self._redis.close()

    def ping(self) -> None:
        """Raises Unavailable unless the store answers."""
        with _store_errors():
            self._redis.ping()

    # Subscriptions

    def create(
        self, subscription: Subscription, *, sink: str, headers: Mapping[str, str], sealed: str | None
    ) -> tuple[str, int]:
        """Stores a subscription; `starts_at_ms` and `status` of the argument are ignored.

        `sink` is the address to POST to, which may be written otherwise than in the request.
        Returns 'created', or 'expired' or 'token_expired' when that moment is not in the
        future and nothing was stored; and the time, which is when a created one starts.
        """
        partition = self._partition_of_known(subscription.id)
        fields: dict[str, str | int] = {
            "client": subscription.client,
            "subject": subscription.subject or "",
            "request": json.dumps(subscription.request),
            "max_events": "" if subscription.max_events is None else subscription.max_events,
            "sink": sink,
            "headers": json.dumps(dict(headers)),
        }
        if sealed is not None:
            fields["credential"] = sealed
        token_expiry = subscription.credential.expires_at_ms if subscription.credential else ""
        call = _Call(
            self._scripts["create"],
            [partition.subscription(subscription.id)],
            [
                partition.tag,
                self._options.offset_ms,
                subscription.id,
                subscription.type,
                subscription.registration,
                subscription.session or "",
                "" if subscription.expires_at_ms is None else subscription.expires_at_ms,
                token_expiry,
                *(part for pair in fields.items() for part in pair),
            ],
        )
        with _store_errors():
            # What points at the subscription comes first: a reader skips what does not exist,
            # but would never find what nothing points at.
            self._redis.sadd(client_key(subscription.client), subscription.id)
            if subscription.session is not None:
                self._index_session(subscription.session, partition, subscription.expires_at_ms)
        outcome, now = self._run([call])[0]
        if outcome != "created":
            with _store_errors():
                self._redis.srem(client_key(subscription.client), subscription.id)
        return outcome, int(now)

    def _index_session(self, session: str, partition: Partition, expires_at_ms: int | None) -> None:
        """Tells publishers of the partition. The key outlives its subscriptions, then goes by itself."""
        key = session_key(session)
        pipe = self._redis.pipeline(transaction=False)
        pipe.sadd(key, partition.number)
        pipe.expire(key, _SESSION_INDEX_TTL_S, nx=True)
        pipe.expire(key, _SESSION_INDEX_TTL_S, gt=True)
        if expires_at_ms is not None:
            pipe.pexpireat(key, expires_at_ms + _SESSION_INDEX_TTL_S * 1000, gt=True)
        pipe.execute()

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription without its credential, or None if there is none (any more)."""
        return next(iter(self._read([subscription_id])), None)

    def list_of(self, client: str) -> list[Subscription]:
        """Every subscription of a client, oldest first."""
        with _store_errors():
            ids = self._redis.smembers(client_key(client))
        return sorted(self._read(sorted(ids)), key=lambda each: (each.starts_at_ms, each.id))

    def _read(self, ids: Iterable[str]) -> Iterator[Subscription]:
        known = [(each, partition_of_subscription(each, self.partitions)) for each in ids]
        wanted = [(each, partition) for each, partition in known if partition is not None]
        with _store_errors():
            pipe = self._redis.pipeline(transaction=False)
            for each, partition in wanted:
                pipe.hgetall(partition.subscription(each))
            hashes = pipe.execute()
        for (each, _), fields in zip(wanted, hashes, strict=True):
            if fields and fields["status"] != Status.DELETED:
                yield _subscription(each, fields)

    def end(
        self, subscription_id: str, reason: TerminationReason, status: Status, *, drop_pending: bool
    ) -> str:
        """Ends a subscription: 'ended', 'already' (another cause came first) or 'gone'."""
        partition = partition_of_subscription(subscription_id, self.partitions)
        if partition is None:
            return "gone"
        call = _Call(
            self._scripts["end"],
            [partition.subscription(subscription_id), partition.outbox(subscription_id), partition.due],
            [
                partition.tag,
                self._options.offset_ms,
                subscription_id,
                reason,
                status,
                self._end_deadline_ms,
                int(drop_pending),
            ],
        )
        return str(self._run([call])[0])

    def sweep(self, limit: int = 100) -> int:
        """Ends what expired and removes what ended long ago, in every partition.

        Returns how many subscriptions it touched, so that a caller knows to come again at once.
        """
        partitions = [Partition(number) for number in range(self.partitions)]
        args = [self._options.offset_ms, self._end_deadline_ms, limit]
        calls = [_Call(self._scripts["sweep"], [each.ends], [each.tag, *args]) for each in partitions]
        touched = 0
        for partition, (expired, *removable) in zip(partitions, self._run(calls), strict=True):
            pairs = list(zip(removable[::2], removable[1::2], strict=True))
            touched += expired + len(pairs)
            for subscription_id, client in pairs:
                self._remove(partition, subscription_id, client)
        return touched

    def _remove(self, partition: Partition, subscription_id: str, client: str) -> None:
        """Leaves the zset entry for last: whatever fails before is done again by the next sweep."""
        with _store_errors():
            self._redis.srem(client_key(client), subscription_id)
            pipe = self._redis.pipeline(transaction=False)
            pipe.delete(partition.subscription(subscription_id))
            pipe.zrem(partition.ends, subscription_id)
            pipe.execute()

    # Events

    def session_partitions(self, sessions: Sequence[str]) -> list[list[Partition]]:
        """For each mediaSessionId, the partitions that hold subscriptions to it."""
        if not sessions:
            return []
        with _store_errors():
            pipe = self._redis.pipeline(transaction=False)
            for each in sessions:
                pipe.smembers(session_key(each))
                pipe.expire(session_key(each), _SESSION_INDEX_TTL_S, gt=True)
            found = pipe.execute()[::2]
        return [[Partition(number) for number in sorted(map(int, each))] for each in found]

    def append(self, batches: Mapping[int, Sequence[NetworkEvent]]) -> dict[int, list[AppendResult]]:
        """Appends events to every matching outbox: for each partition number, in order.

        Every event is matched and appended in one atomic step of its partition. Returns only when
        all hold their events, on as many replicas as `ack_replicas` asks for; the same call again
        changes nothing.
        """
        chunks = [
            (number, events[first : first + _EVENTS_PER_APPEND])
            for number, events in batches.items()
            for first in range(0, len(events), _EVENTS_PER_APPEND)
        ]
        calls = [self._append_call(Partition(number), events) for number, events in chunks]
        answers = self._run(calls, replicas=self._settings.ack_replicas)
        results: dict[int, list[AppendResult]] = {number: [] for number in batches}
        for (number, _), flat in zip(chunks, answers, strict=True):
            pairs = zip(flat[::2], flat[1::2], strict=True)
            results[number] += [AppendResult(bool(new), int(count)) for new, count in pairs]
        return results

    def _append_call(self, partition: Partition, events: Sequence[NetworkEvent]) -> _Call:
        args: list[str | int] = [
            partition.tag,
            self._options.offset_ms,
            self._settings.dedupe_window_s * 1000,
            self._end_deadline_ms,
        ]
        for event in events:
            args += [
                f"{event.source} {event.id}",
                event.type,
                event.registration or "",
                event.session or "",
                self._settings.deadline_ms(event.type),
                int(event.type is EventType.SESSION_STATUS),
                event.payload,
            ]
        return _Call(self._scripts["append"], [partition.due], args)

    def claim(self, partitions: Sequence[Partition], *, subscriptions: int, events: int) -> list[Claim]:
        """Leases up to so many due subscriptions of each partition, with up to so many events each."""
        args = [self._options.offset_ms, self._options.lease_ms, subscriptions, events, _LOOK_AWAY_MS]
        calls = [_Call(self._scripts["claim"], [each.due], [each.tag, *args]) for each in partitions]
        return [_claim(int(now), raw) for now, *claims in self._run(calls) for raw in claims]

    def settle(self, settlements: Sequence[Settlement]) -> list[str]:
        """For each: 'lost' (the lease went to another; nothing written), 'idle', 'due' or 'ended'."""
        return [str(each) for each in self._run([self._settle_call(each) for each in settlements])]

    def _settle_call(self, settlement: Settlement) -> _Call:
        claim = settlement.claim
        partition = self._partition_of_known(claim.subscription_id)
        verdict: list[str | int] = ["next", 0, 0]
        if settlement.retry is not None:
            verdict = ["retry", *settlement.retry]
        if settlement.end is not None:
            verdict = ["end", settlement.end[0], int(settlement.end[1])]
        return _Call(
            self._scripts["settle"],
            [
                partition.subscription(claim.subscription_id),
                partition.outbox(claim.subscription_id),
                partition.due,
            ],
            [
                partition.tag,
                self._options.offset_ms,
                claim.subscription_id,
                claim.fence,
                settlement.through,
                *verdict,
                self._end_deadline_ms,
                self._settings.retention_s * 1000,
                _STREAM_CAP,
                _STREAM_TTL_MS,
                len(settlement.dead),
                *(part for each in settlement.dead for part in (each.number, each.reason, each.detail)),
                *(json.dumps(each) for each in settlement.attempts),
            ],
        )

    def wakeups(self) -> "Wakeups":
        """A listener for partitions in which something became due."""
        return Wakeups(self._redis, self.partitions)

    # Registrations

    def put_registration(self, registration: Registration) -> bool:
        """Stores what is known of a registration; True if nothing was known before."""
        key = partition_of(registration.id, self.partitions).registration_record(registration.id)
        fields = {
            "format": "1",
            "device": registration.device,
            "owner": registration.owner,
            "subject": registration.subject or "",
            "expires_at": registration.expires_at or "",
        }
        with _store_errors():
            pipe = self._redis.pipeline(transaction=True)
            pipe.delete(key)
            pipe.hset(key, mapping=fields)
            replaced, _ = pipe.execute()
        return not replaced

    def delete_registration(self, registration_id: str) -> bool:
        """Forgets a registration; False if it was not known."""
        key = partition_of(registration_id, self.partitions).registration_record(registration_id)
        with _store_errors():
            return bool(self._redis.delete(key))

    # Plumbing

    def _partition_of_known(self, subscription_id: str) -> Partition:
        partition = partition_of_subscription(subscription_id, self.partitions)
        if partition is None:
            raise ValueError(f"{subscription_id!r} is no subscription id")
        return partition

    def _check_partitions(self) -> None:
        with _store_errors():
            self._redis.set("partitions", self.partitions, nx=True)
            made_for = self._redis.get("partitions")
        if made_for != str(self.partitions):
            raise PartitionMismatch(
                f"the store was made for {made_for} partitions; "
                f"WEBRTC_EVENTS_PARTITIONS asks for {self.partitions}"
            )

    def _run(self, calls: Sequence[_Call], *, replicas: int = 0) -> list[Any]:
        """Runs scripts in one round trip; those that the store has forgotten once more, with their text."""
        if not calls:
            return []
        with _store_errors():
            answers = self._execute(calls, by_text=False, replicas=replicas)
            forgotten = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if forgotten:
                again = self._execute([calls[index] for index in forgotten], by_text=True, replicas=replicas)
                for index, answer in zip(forgotten, again, strict=True):
                    answers[index] = answer
            for answer in answers:
                if isinstance(answer, RedisError):
                    raise answer
        return answers

    def _execute(self, calls: Sequence[_Call], *, by_text: bool, replicas: int) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for call in calls:
            if by_text:
                pipe.eval(call.script.text, len(call.keys), *call.keys, *call.args)
            else:
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
        if replicas:
            # WAIT speaks of the writes of its own connection, so it goes in the same pipeline.
            pipe.execute_command("WAIT", replicas, _REPLICA_WAIT_MS)
        answers: list[Any] = pipe.execute(raise_on_error=False)
        if replicas:
            held_by = answers.pop()
            if isinstance(held_by, RedisError):
                raise held_by
            if held_by < replicas:
                raise Unavailable("Too few replicas hold the event; try again.")
        return answers


class Wakeups:
    """Hints from `SPUBLISH`. Losing one costs only time: workers also poll."""

    def __init__(self, client: _Client, partitions: int) -> None:
        self._pubsub = client.pubsub(ignore_subscribe_messages=True)
        self._numbers = {Partition(number).wakeup: number for number in range(partitions)}
        self._subscribed = False

    def wait(self, timeout_s: float) -> int | None:
        """The number of a partition that has something due, or None after `timeout_s`."""
        with _store_errors():
            if not self._subscribed:
                self._pubsub.ssubscribe(*self._numbers)
                for _ in self._numbers:
                    # The confirmations; as ignored messages each reads as none.
                    self._pubsub.get_message(timeout=_TIMEOUT_S)
                self._subscribed = True
            message = self._pubsub.get_message(timeout=timeout_s)
        return None if message is None else self._numbers.get(message["channel"])

    def close(self) -> None:
        self._pubsub.close()


def _subscription(subscription_id: str, fields: Mapping[str, str]) -> Subscription:
    return Subscription(
        id=subscription_id,
        client=fields["client"],
        subject=fields["subject"] or None,
        type=EventType(fields["type"]),
        registration=fields["registration"],
        session=fields["session"] or None,
        request=json.loads(fields["request"]),
        starts_at_ms=int(fields["starts_at"]),
        expires_at_ms=int(fields["expires_at"]) if fields["expires_at"] else None,
        max_events=int(fields["max_events"]) if fields["max_events"] else None,
        status=Status(fields["status"]),
    )


def _claim(now_ms: int, raw: Sequence[Any]) -> Claim:
    subscription_id, fence, lease_until, sink, headers, credential, attempts, once, *entries = raw
    return Claim(
        subscription_id=subscription_id,
        fence=int(fence),
        now_ms=now_ms,
        lease_until_ms=int(lease_until),
        sink=sink,
        headers=json.loads(headers),
        credential=credential or None,
        attempts=int(attempts),
        end_once=once == "1",
        items=tuple(_item(entry) for entry in entries),
    )


def _item(entry: str) -> OutboxItem:
    head, _, payload = entry.partition("\n")
    number, end, accepted_ms, deadline_ms = head.split(" ")
    return OutboxItem(int(number), end == "1", int(accepted_ms), int(deadline_ms), payload)
