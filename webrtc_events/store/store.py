"""The store: subscriptions, outboxes, registrations. One method is one atomic step of one partition.

Every method raises `errors.Unavailable` when the store cannot be reached, is too full, or
does not answer in time. Time here is the store's own, in ms since the epoch.
"""

import itertools
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from webrtc_events.core.clock import Clock, SystemClock, parse_time
from webrtc_events.core.errors import DamagedRecord, Unavailable
from webrtc_events.core.model import (
    Claim,
    EventType,
    InitialEvent,
    NetworkEvent,
    Registration,
    SessionState,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.outcomes import Agreed, Refused
from webrtc_events.core.settings import Settings
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.store.appends import AppendResult, append_events
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.damage_log import DamageLog
from webrtc_events.store.formats import BASE_FORMAT, FORMAT
from webrtc_events.store.guard import Guard
from webrtc_events.store.keys import (
    Partition,
    bucket_key,
    client_key,
    end_note,
    partition_of,
    partition_of_subscription,
    session_key,
    session_state_key,
    set_aside_key,
    turns_key,
)
from webrtc_events.store.rebuild import Rebuild
from webrtc_events.store.records import (
    FIELDS_OF_CLAIM,
    FIELDS_OF_SUBSCRIPTION,
    UnreadableEntry,
    read_claim,
    read_session_state,
    read_subscription,
)
from webrtc_events.store.redis.scripts import (
    Call,
    Client,
    Scripts,
    WrongType,
    answers_of,
    connect,
    store_errors,
)
from webrtc_events.store.redis.wakeups import Wakeups
from webrtc_events.store.sweeps import sweep
from webrtc_events.store.time_log import TimeLog

__all__ = [
    "AppendResult",
    "CreateResult",
    "DroppedEvent",
    "PartitionMismatch",
    "Settlement",
    "Store",
    "StoreOptions",
    "UpdateResult",
]

log = logging.getLogger(__name__)

# Counted from the latest subscription to the session or event of it: no call lasts that long.
_SESSION_INDEX_TTL_S = 30 * 24 * 3600
# string: how many partitions the store was made for. The first key of a store.
_MADE_FOR = "partitions"
# string: every release that ever worked on the store knows of payloads that outboxes share.
_SHARES = "shares-payloads"


class PartitionMismatch(CannotStart):
    """The store was first started with another number of partitions."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Spans that the scripts need, in ms. `offset_ms` shifts the store's clock, in tests only.

    `work`: how many subscriptions a script that appends goes through before it makes way for others.
    `shared_from`: a payload is kept once for all its outboxes if that saves so many bytes.
    """

    lease_ms: int = 30_000
    offset_ms: int = 0
    work: int = 50
    shared_from: int = 65_536


@dataclass(frozen=True, slots=True)
class CreateResult:
    """'created', or why not: 'expired', 'token_expired', 'mismatch', 'unknown_registration'.

    Or, as there are as many subscriptions as may be: 'quota' (of the client), 'registration_quota',
    'session_quota'.

    A created one starts at `now_ms` and ends by `expires_at_ms`, if it has an end.
    """

    outcome: str
    now_ms: int = 0
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """'updated', or why not: 'gone', 'ended', 'expired', 'token_expired'.

    An updated subscription ends by `expires_at_ms`, if it has an end, and `request` is what
    it shows.
    """

    outcome: str
    expires_at_ms: int | None = None
    request: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DroppedEvent:
    """An event given up: its outbox number and why."""

    number: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claim.

    `through` is the outbox number up to which all are done with. At most one of `retry`
    (delay in ms, failed attempts, outbox number of the event), `end` (reason, whether the
    sink is still told) and `answer` (to a handshake) is given; none means: go on with what is left.
    `sink` is what it did: 'took' (some event), 'failed' (to take any), '' (it was not asked).
    """

    claim: Claim
    through: int
    dead: tuple[DroppedEvent, ...] = ()
    attempts: tuple[dict[str, Any], ...] = ()
    retry: tuple[int, int, int] | None = None
    end: tuple[TerminationReason, bool] | None = None
    sink: str = ""
    answer: Agreed | Refused | None = None


class Store:
    """All that is kept, in Redis or Valkey (7 or later). What is new is taken while `guard` permits it."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        options: StoreOptions = StoreOptions(),
        clock: Clock | None = None,
    ) -> None:
        self.guard = Guard()
        self.damage = DamageLog(clock or SystemClock())
        self._redis = client
        self._unreached: Set[int] = frozenset()
        # Who claims, how often, and the first claim of a partition whose answer did not come.
        self._claimer = secrets.token_hex(8)
        self._claim_numbers = itertools.count(1)
        self._unheard: dict[int, int] = {}
        self._settings = settings
        self._said_left = False
        self._time_log = TimeLog()
        self._shared_from = options.shared_from
        self._shares = settings.shared_payloads == "on"
        self._scripts = Scripts(client, _script_options(settings, options))
        retention_ms = settings.retention_s * 1000
        self.rebuild = Rebuild(client, self._scripts, settings.partitions, retention_ms)
        self.index = ClientIndex(client, self._scripts, settings.partitions, self.rebuild, self.damage)

    @classmethod
    def connect(cls, settings: Settings, options: StoreOptions = StoreOptions()) -> "Store":
        """Opens the store and checks that it was made for as many partitions.

        Raises:
            Unavailable: it cannot be reached.
            PartitionMismatch: it was made for another number.
        """
        store = cls(connect(settings.redis_url), settings, options)
        try:
            store._check_partitions()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    @property
    def client(self) -> Client:
        """For modules that keep a part of the store of their own, as is `scripts`."""
        return self._redis

    @property
    def scripts(self) -> Scripts:
        return self._scripts

    def close(self) -> None:
        self._redis.close()

    def hold_to_partitions(self) -> bool:
        """Writes for how many partitions the store is, for all who come; False if it is written already."""
        with store_errors():
            return bool(self._redis.set(_MADE_FOR, self.partitions, nx=True))

    def ping(self) -> None:
        """Raises Unavailable unless the store answers."""
        with store_errors():
            self._redis.ping()

    def admit(self, client: str, cost: int = 1) -> int:
        """Counts a request of `client`, or several: 0, or after how many ms it may try again."""
        if not self._settings.requests_per_s:
            return 0
        rate = [self._settings.requests_per_s, self._settings.requests_at_once, cost]
        return int(self._scripts.run([Call("admit", [bucket_key(client)], "", rate)])[0])

    # Subscriptions

    def create(
        self,
        subscription: Subscription,
        *,
        sink: str,
        headers: Mapping[str, str],
        sealed: str | None,
        session_over: bool = False,
    ) -> CreateResult:
        """Stores a subscription; `starts_at_ms` and `status` of the argument are ignored.

        `sink` is the address to POST to, which may be written otherwise than in the request. With an
        `origin` the subscription is not active until the sink has agreed.
        `session_over`: its session has had its last status.
        """
        self.guard.check()
        partition = self._partition_of_known(subscription.id)
        fields: dict[str, str | int] = {
            "request": json.dumps(subscription.request),
            "max_events": "" if subscription.max_events is None else subscription.max_events,
            "sink": sink,
            "headers": json.dumps(dict(headers)),
            "contract": subscription.contract,
        }
        if sealed is not None:
            fields["credential"] = sealed
        room = self._session_room(subscription, partition)
        call = self._create_call(partition, subscription, fields, session_over=session_over, room=room)
        if not self.index.reserve(subscription.client, subscription.id, self._settings.max_subscriptions):
            return CreateResult("quota")
        self._index_session(subscription, partition)
        outcome, now_ms, expires_at = self._scripts.run([call])[0]
        if outcome != "created":
            self.index.remove(subscription.client, subscription.id)
            return CreateResult(outcome, int(now_ms))
        # The subscription is there; to say otherwise would have it made twice.
        _possible(self.index.confirm, subscription.client, subscription.id)
        if subscription.initial_event and subscription.origin is None:
            try:
                self._append_initial(subscription)
            except (DamagedRecord, Unavailable):
                log.warning("the initial event of subscription=%s is left to the sweeper", subscription.id)
        return CreateResult(outcome, int(now_ms), int(expires_at) if expires_at else None)

    def _create_call(
        self,
        partition: Partition,
        subscription: Subscription,
        fields: Mapping[str, str | int],
        *,
        session_over: bool,
        room: int | None,
    ) -> Call:
        args: list[str | int] = [
            subscription.id,
            subscription.type,
            subscription.registration,
            subscription.session or "",
            "" if subscription.expires_at_ms is None else subscription.expires_at_ms,
            subscription.credential.expires_at_ms if subscription.credential else "",
            subscription.client,
            subscription.subject or "",
            int(self._settings.require_known_registration),
            int(subscription.initial_event),
            int(session_over),
            subscription.origin or "",
            self._settings.max_registration_subscriptions or "",
            "" if room is None else room,
            *(part for pair in fields.items() for part in pair),
        ]
        return Call("create", [partition.subscription(subscription.id)], partition.tag, args)

    def _session_room(self, subscription: Subscription, partition: Partition) -> int | None:
        """How many subscriptions to its session may be in its partition; None: there is no limit.

        Of several that are made at once in several partitions, a few too many may get in.
        """
        most = self._settings.max_session_subscriptions
        if subscription.session is None or not most:
            return None
        (partitions,) = self.session_partitions([subscription.session])
        others = [each for each in partitions if each.number != partition.number]
        with store_errors():
            pipe = self._redis.pipeline()
            for other in others:
                pipe.scard(other.session(subscription.session))
            answers = answers_of(pipe) if others else []
        # One that cannot be read is made anew once an event meets it, and counts nothing until then.
        return most - sum(answer for answer in answers if isinstance(answer, int))

    def _index_session(self, subscription: Subscription, partition: Partition) -> None:
        """Before the subscription is there: a reader skips what does not exist, but would never find what
        nothing points at.
        """
        with store_errors():
            pipe = self._redis.pipeline()
            _index_session(pipe, subscription, partition)
            answers = answers_of(pipe)
        if any(isinstance(answer, WrongType) for answer in answers):
            # Of one that is made anew, every partition is among those it leads to.
            self._mend_session(subscription.session)

    def update(
        self, subscription: Subscription, *, expires_at_ms: int | None, sealed: str | None
    ) -> UpdateResult:
        """Gives a subscription that is not over a new expiry, a new sink credential, or both; None leaves it.

        With a new expiry, `subscription.request` says so; `sealed` is `subscription.credential`.
        """
        self.guard.check()
        partition = self._partition_of_known(subscription.id)
        credential = subscription.credential
        args: list[str | int] = [
            subscription.id,
            "" if expires_at_ms is None else expires_at_ms,
            "" if expires_at_ms is None else json.dumps(subscription.request),
            "" if sealed is None or credential is None else credential.expires_at_ms,
            sealed or "",
        ]
        # Before the subscription lives longer, what leads to it must.
        self._index_session(replace(subscription, expires_at_ms=expires_at_ms), partition)
        call = Call("update", [partition.subscription(subscription.id)], partition.tag, args)
        outcome, expires_at, request = self._scripts.run([call])[0]
        if outcome != "updated":
            return UpdateResult(outcome)
        return UpdateResult(outcome, int(expires_at) if expires_at else None, json.loads(request))

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription without its credential, or None if there is none (any more).

        Raises:
            DamagedRecord: it cannot be read.
        """
        found = next(iter(self._read([subscription_id])), None)
        if isinstance(found, DamagedRecord):
            raise found
        return found

    def pages_of(self, client: str) -> Iterator[list[Subscription]]:
        """Every subscription of a client, oldest first, some at once.

        One that cannot be read is told in the log only.
        """
        for ids in self.index.pages(client):
            yield list(self._readable(ids))

    def owner_of_damaged(self, subscription_id: str, client: str) -> tuple[bool, str | None]:
        """Whether one that cannot be read is the client's; the subject that it is of, if that is known."""
        partition = self._partition_of_known(subscription_id)
        key = partition.subscription(subscription_id)
        with store_errors():
            pipe = self._redis.pipeline()
            pipe.hmget(key, "client", "subject")
            pipe.zscore(client_key(client), subscription_id)
            fields, named = answers_of(pipe)
        owner, subject = (None, None) if isinstance(fields, Exception) else fields
        is_named = named is not None and not isinstance(named, Exception)
        return (owner == client if owner else is_named), subject

    def discard(self, subscription_id: str, client: str) -> bool:
        """Removes a subscription that cannot be read, without a word to its sink; False: there was none."""
        partition = self._partition_of_known(subscription_id)
        call = Call("discard", [partition.subscription(subscription_id)], partition.tag, [subscription_id])
        found = bool(self._scripts.run([call])[0])
        self.index.remove(client, subscription_id)
        return found

    def _readable(self, ids: Iterable[str]) -> Iterator[Subscription]:
        for each in self._read(ids):
            if isinstance(each, DamagedRecord):
                self.damage.tell(each.name, each.why)
            else:
                yield each

    def _read(self, ids: Iterable[str]) -> Iterator[Subscription | DamagedRecord]:
        partitions = [
            (subscription_id, partition_of_subscription(subscription_id, self.partitions))
            for subscription_id in ids
        ]
        keys = {each: partition.subscription(each) for each, partition in partitions if partition}
        with store_errors():
            pipe = self._redis.pipeline()
            for key in keys.values():
                pipe.hmget(key, _FIELDS)
            hashes = dict(zip(keys, map(_named_fields, answers_of(pipe)), strict=True))
            for each in (without := [each for each, fields in hashes.items() if fields == {}]):
                pipe.exists(keys[each])
            missing = {each for each, there in zip(without, answers_of(pipe), strict=True) if not there}
        for each, fields in hashes.items():
            found = None if each in missing else read_subscription(each, fields)
            if found is not None:
                yield found

    def _mend_session(self, session: str | None) -> None:
        """Of a session whose index cannot be read, every partition may hold subscriptions."""
        if session is None:
            return
        key = session_key(session)
        try:
            with store_errors():
                readable = all(number.isdecimal() for number in self._redis.smembers(key))
        except WrongType:
            readable = False
        if readable:
            return
        with store_errors():
            self._redis.rename(key, set_aside_key(key))
            self._redis.sadd(key, *range(self.partitions))
            self._redis.expire(key, _SESSION_INDEX_TTL_S)
        self.damage.tell(key, "it is no set of partitions and was made anew")

    def end(
        self, subscription_id: str, reason: TerminationReason, status: Status, *, drop_pending: bool
    ) -> str:
        """Ends a subscription: 'ended', 'already' (another cause came first) or 'gone'.

        Raises:
            DamagedRecord: it cannot be read.
        """
        partition = partition_of_subscription(subscription_id, self.partitions)
        if partition is None:
            return "gone"
        args: list[str | int] = [subscription_id, reason, status, int(drop_pending)]
        call = Call("end", [partition.subscription(subscription_id)], partition.tag, args)
        answer = str(self._scripts.run([call])[0])
        if answer.startswith(_DAMAGED):
            raise DamagedRecord(subscription_id, answer.removeprefix(_DAMAGED))
        return answer

    def sweep(self, limit: int = 100) -> int:
        """Does what time does, in every partition that can be reached: see sweep.lua.

        Returns how much it did, so that a caller knows to come again at once.

        Raises:
            Unavailable: no partition can be reached.
        """
        partitions = [Partition(number) for number in range(self.partitions)]
        answers = sweep(self._scripts, partitions, limit)
        self._tell_unreached(answers)
        total = 0
        most_ahead_ms = 0
        unfinished: list[str] = []
        ended: dict[int, list[str]] = {}
        for partition, swept in _reached(partitions, answers):
            touched, removable, pending, left, damaged, indexes, ahead_ms, ended[partition.number] = swept
            most_ahead_ms = max(most_ahead_ms, ahead_ms)
            self._tell_damaged(damaged)
            for index in indexes:
                _possible(self.rebuild.run, partition, index)
            total += touched - len(removable) // 2
            self._say_left(left)
            for subscription_id, client in zip(removable[::2], removable[1::2], strict=True):
                total += _possible(self._remove, partition, subscription_id, client)
            unfinished += pending
        self._time_log.tell(most_ahead_ms)
        # After all removals, which a full store needs most.
        for found in self._read(unfinished):
            _possible(self._complete, found)
        settled = self._settle_notes(ended)
        # Where there may be more, it is worth coming again at once.
        return total + (settled if any(len(each) == limit for each in ended.values()) else 0)

    def _settle_notes(self, notes: Mapping[int, Sequence[str]]) -> int:
        try:
            return self.index.settle_notes(notes)
        except Unavailable:
            # What has been done stays so; the next sweep finds the rest.
            return 0

    def _complete(self, found: Subscription | DamagedRecord) -> None:
        """Appends what a create left pending; what is damaged is looked at again after a while."""
        try:
            if isinstance(found, DamagedRecord):
                raise found
            self._append_initial(found)
        except DamagedRecord as error:
            name = found.name if isinstance(found, DamagedRecord) else found.id
            partition = self._partition_of_known(name)
            self.damage.tell(name, error.why)
            with store_errors():
                seconds, _ = self._redis.time()
                self._redis.zadd(partition.initial, {name: (seconds + _LOOK_AWAY_S) * 1000}, xx=True)

    def _tell_damaged(self, damaged: Iterable[Sequence[str]]) -> None:
        for name, why in damaged:
            self.damage.tell(name, why)

    def _tell_unreached(self, answers: Sequence[Any]) -> None:
        """Logs which partitions can be reached no longer, or again."""
        unreached = {n: answer for n, answer in enumerate(answers) if isinstance(answer, Unavailable)}
        if unreached.keys() == self._unreached:
            return
        self._unreached = unreached.keys()
        if unreached:
            numbers = ", ".join(map(str, unreached))
            reason = next(iter(unreached.values())).__cause__
            log.warning(
                "the store does not serve partitions %s: %s: %s", numbers, type(reason).__name__, reason
            )
        else:
            log.info("the store serves every partition again")

    def _remove(self, partition: Partition, subscription_id: str, client: str) -> None:
        """Leaves the zset entry for last: whatever fails before is done again by the next sweep."""
        self.index.remove(client, subscription_id)
        with store_errors():
            pipe = self._redis.pipeline()
            pipe.zrem(partition.ended, end_note(client, subscription_id))
            pipe.delete(partition.subscription(subscription_id))
            pipe.zrem(partition.ends, subscription_id)
            answers_of(pipe)

    # Initial events

    def _catch_up(self, active: Sequence[str]) -> None:
        """What subscriptions missed until they became active."""
        try:
            for each in self._read(active):
                self._complete(each)
        except Unavailable:
            # All are settled, which must not be done again for this.
            log.warning("what %d subscriptions missed is left to the sweeper", len(active))

    def _append_initial(self, subscription: Subscription) -> None:
        """Appends the latest state, unless a newer event came first or none is wished. Safe to repeat."""
        partition = self._partition_of_known(subscription.id)
        counted = ""
        try:
            latest = self._latest(subscription, partition)
            if latest is not None and not latest.numbered and latest.payload:
                counted = json.loads(latest.payload)["data"]["mediaSessionId"]
        except (KeyError, OverflowError, TypeError, ValueError, WrongType) as error:
            # As good as unknown: the next event replaces it.
            self.damage.tell(partition.registration_state(subscription.registration), type(error).__name__)
            latest = None
        last = ""
        if latest is not None and subscription.type is EventType.SESSION_STATUS:
            last = str(int(latest.last))
        if not subscription.initial_event:
            latest = None
        args: list[str | int] = [
            subscription.id,
            "" if latest is None else latest.name,
            self._settings.deadline_ms(subscription.type),
            "" if latest is None else latest.payload,
            counted,
            last,
            0 if latest is None else latest.time_ms,
            int(latest is not None and latest.registration_ended),
            "" if latest is None or latest.until_ms is None else latest.until_ms,
        ]
        key = partition.subscription(subscription.id)
        self._scripts.run([Call("initial", [key], partition.tag, args)])

    def _latest(self, subscription: Subscription, partition: Partition) -> InitialEvent | None:
        if subscription.session is not None:
            session = self.session_state(subscription.session)
            # Meanwhile it may have become known as others'.
            return None if session.is_of_others(subscription.registration) else session.latest
        with store_errors():
            state = self._redis.hgetall(partition.registration_state(subscription.registration))
        if subscription.type is EventType.REGISTRATION_ENDS:
            if "end" not in state:
                return None
            return InitialEvent(
                state["end_name"] or "registration expired",
                state["end"],
                True,
                False,
                registration_ended=True,
            )
        return self._pending_invitation(state)

    def _pending_invitation(self, state: Mapping[str, str]) -> InitialEvent | None:
        """The registration's latest invitation, while its call is neither answered nor over."""
        if "invitation" not in state:
            return None
        until_ms = int(state["invitation_at"]) + self._settings.deadline_ms(EventType.SESSION_INVITATION)
        invited_ms = parse_time(json.loads(state["invitation"])["time"])
        if not self._rings(state["invitation_session"], invited_ms):
            return None
        return InitialEvent(
            state["invitation_name"],
            state["invitation"],
            state["invitation_count"] == "0",
            False,
            until_ms=until_ms,
        )

    def _rings(self, session: str, invited_ms: int) -> bool:
        latest = self.session_state(session).latest
        # Invited to a session that was over by then: it begins again.
        if latest is None or (latest.last and latest.time_ms < invited_ms):
            return True
        return json.loads(latest.payload)["data"]["status"] in _BEFORE_ANSWER

    def session_state(self, session: str) -> SessionState:
        """What is known of a media session; nothing is as good as unknown."""
        key = session_state_key(session)
        try:
            with store_errors():
                fields = self._redis.hgetall(key)
        except WrongType:
            self.damage.tell(key, "it is a key of another type")
            fields = {}
        state, fault = read_session_state(fields)
        if fault is not None:
            self.damage.tell(key, f"its latest status cannot be read: {fault}")
        return state

    # Events

    def remember(self, events: Sequence[NetworkEvent]) -> list[tuple[str, ...]]:
        """Keeps what session events tell of their sessions; for each, the registrations then known.

        Only events with a session are to be given.
        """
        self.guard.check()
        calls = [
            Call(
                "remember",
                [session_state_key(event.session or "")],
                "",
                [
                    event.registration or "",
                    event.time_ms,
                    event.name if event.type is EventType.SESSION_STATUS else "",
                    event.payload,
                    int(not event.numbered),
                    int(event.last),
                ],
            )
            for event in events
        ]
        return [tuple(known) for known in self._scripts.run(calls)]

    def session_partitions(self, sessions: Sequence[str]) -> list[list[Partition]]:
        """For each mediaSessionId, the partitions that hold subscriptions to it."""
        if not sessions:
            return []
        with store_errors():
            pipe = self._redis.pipeline()
            for each in sessions:
                pipe.smembers(session_key(each))
                pipe.expire(session_key(each), _SESSION_INDEX_TTL_S, gt=True)
            found = answers_of(pipe)[::2]
        return [self._named(session, each) for session, each in zip(sessions, found, strict=True)]

    def _named(self, session: str, numbers: Any) -> list[Partition]:
        """The partitions that a session's index names."""
        if isinstance(numbers, Exception) or not all(number.isdecimal() for number in numbers):
            self._mend_session(session)
            return [Partition(number) for number in range(self.partitions)]
        return [Partition(number) for number in sorted(map(int, numbers)) if number < self.partitions]

    def append(self, batches: Mapping[int, Sequence[NetworkEvent]]) -> dict[int, list[AppendResult]]:
        """Appends events to every matching outbox: for each partition number, in order.

        Returns only when all hold their events, on as many replicas as `ack_replicas` asks for. The
        same call again completes what failed half way, and changes nothing else.
        """
        self.guard.check()
        shared_from = self._shared_from if self._shares else 0
        return append_events(
            self._scripts, self._settings, batches, self._tell_damaged, shared_from=shared_from
        )

    def claim(
        self, partitions: Sequence[Partition], *, subscriptions: int, events: int, size: int | None = None
    ) -> list[Claim]:
        """Leases up to so many due subscriptions of each partition, with up to so many events each.

        Those of a partition have up to `size` bytes, or `claim_bytes`, those of a subscription `event_bytes`;
        a larger event is leased alone.

        What a partition gave and this store did not hear of, the next claim from it gives again. So it
        is for one thread at a time.

        Raises:
            Unavailable: none of the partitions can be reached.
        """
        number = next(self._claim_numbers)
        calls = [
            Call(
                "claim",
                [partition.due],
                partition.tag,
                [
                    subscriptions,
                    events,
                    self._claimer,
                    number,
                    self._unheard.get(partition.number, number),
                    self._settings.claim_bytes if size is None else size,
                    self._settings.event_bytes,
                ],
            )
            for partition in partitions
        ]
        answers = self._scripts.run_some(calls, repeats=False)
        for partition, answer in zip(partitions, answers, strict=True):
            if isinstance(answer, Unavailable):
                self._unheard.setdefault(partition.number, number)
            else:
                self._unheard.pop(partition.number, None)
        found: list[Claim] = []
        unreadable: list[Call] = []
        for _, (now, left, damaged, *claims) in _reached(partitions, answers):
            self._tell_damaged(damaged)
            for raw in claims:
                read = read_claim(int(now), raw)
                match read:
                    case Claim():
                        found.append(read)
                    case UnreadableEntry():
                        unreadable.append(self._mend_call(raw))
                    case DamagedRecord():
                        # Its lease keeps it from coming back at once.
                        self.damage.tell(read.name, read.why)
            self._say_left(left)
        for answer in self._scripts.run_some(unreadable):
            if not isinstance(answer, Unavailable):
                self._tell_damaged(answer)
        return found

    def _mend_call(self, raw: Sequence[Any]) -> Call:
        """For a claim with an entry that cannot be read."""
        subscription_id, fence = raw[:2]
        partition = self._partition_of_known(subscription_id)
        keys = [partition.subscription(subscription_id), partition.outbox(subscription_id), partition.due]
        return Call("mend", keys, partition.tag, [subscription_id, fence, len(raw) - FIELDS_OF_CLAIM])

    def _say_left(self, count: int) -> None:
        """Once: from then on it may be so until the release is over here."""
        if count and not self._said_left:
            self._said_left = True
            log.warning(
                "subscriptions were written by a newer release than this one: they are left to it, and "
                "wait if none runs"
            )

    def settle(self, settlements: Sequence[Settlement]) -> list[str]:
        """For each: 'lost' (the lease went to another; nothing written), 'idle', 'due', 'ended', 'active'.

        Or 'damaged' (the subscription cannot be read; it is looked at again after a while), or 'unanswered':
        its partition cannot be reached, and it is to be settled again.

        Raises:
            Unavailable: none of the partitions can be reached.
        """
        answers = self._scripts.run_some([self._settle_call(settlement) for settlement in settlements])
        reached = dict(_reached(range(len(answers)), answers))
        results = [str(reached.get(index, "unanswered")) for index in range(len(answers))]
        for index, result in enumerate(results):
            if result.startswith(_DAMAGED):
                self.damage.tell(settlements[index].claim.subscription_id, result.removeprefix(_DAMAGED))
                results[index] = "damaged"
        pairs = zip(settlements, results, strict=True)
        active = [each.claim.subscription_id for each, result in pairs if result == "active"]
        if active:
            self._catch_up(active)
        return results

    def _settle_call(self, settlement: Settlement) -> Call:
        subscription_id = settlement.claim.subscription_id
        partition = self._partition_of_known(subscription_id)
        verdict: list[str | int] = ["next", 0, 0, 0]
        if settlement.retry is not None:
            verdict = ["retry", *settlement.retry]
        if settlement.end is not None:
            verdict = ["end", settlement.end[0], int(settlement.end[1]), 0]
        match settlement.answer:
            case Agreed(rate):
                verdict = ["agree", "" if rate is None else rate, 0, 0]
            case Refused():
                verdict = ["refuse", 0, 0, 0]
        keys = [partition.subscription(subscription_id), partition.outbox(subscription_id), partition.due]
        args = [
            subscription_id,
            settlement.claim.fence,
            settlement.through,
            *verdict,
            settlement.sink,
            len(settlement.dead),
            *(part for each in settlement.dead for part in (each.number, each.reason, each.detail)),
            *(json.dumps(attempt) for attempt in settlement.attempts),
        ]
        return Call("settle", keys, partition.tag, args)

    def turn(self, claim: Claim, rate: int, patience_ms: int) -> int:
        """After how many ms the claim's next notification may go to its sink, which allows `rate` a minute.

        Up to `patience_ms` that turn is the caller's; a later one is kept for the subscription, which
        is to ask again before it comes.
        """
        args: list[str | int] = [claim.subscription_id, repr(60_000 / rate), patience_ms]
        return int(self._scripts.run([Call("turn", [turns_key(claim.sink)], "", args)])[0])

    def wakeups(self) -> Wakeups:
        """A listener for partitions in which something became due."""
        return Wakeups(self._redis.nodes, self.partitions)

    # Registrations

    def put_registration(self, registration: Registration, *, expires_at_ms: int | None, end: str) -> bool:
        """Stores what is known of a registration; True if nothing was known before.

        `end` is the payload of the registration-ends that its expiry appends.
        """
        self.guard.check()
        partition = partition_of(registration.id, self.partitions)
        moment = "" if expires_at_ms is None else str(expires_at_ms)
        fields = {
            "format": str(BASE_FORMAT),
            "device": registration.device,
            "owner": registration.owner,
            "subject": registration.subject or "",
            "expires_at": registration.expires_at or "",
            "expires_at_ms": moment,
            "end": end,
        }
        args = [registration.id, moment, *(part for pair in fields.items() for part in pair)]
        key = partition.registration_record(registration.id)
        return bool(self._scripts.run([Call("register", [key], partition.tag, args)])[0])

    def delete_registration(self, registration_id: str) -> bool:
        """Forgets a registration; False if it was not known."""
        partition = partition_of(registration_id, self.partitions)
        key = partition.registration_record(registration_id)
        return bool(self._scripts.run([Call("unregister", [key], partition.tag, [registration_id])])[0])

    # Plumbing

    def _partition_of_known(self, subscription_id: str) -> Partition:
        partition = partition_of_subscription(subscription_id, self.partitions)
        if partition is None:
            raise ValueError(f"{subscription_id!r} is no subscription id")
        return partition

    def _check_partitions(self) -> None:
        with store_errors():
            made_for = self._redis.get(_MADE_FOR)
            if made_for is None:
                self._redis.set(_SHARES, 1)
                if self.hold_to_partitions():
                    log.info("the store is empty: this is its first start, or it lost what it held")
                made_for = self._redis.get(_MADE_FOR)
            if self._settings.shared_payloads == "auto":
                self._shares = self._redis.get(_SHARES) is not None
        if made_for != str(self.partitions):
            raise PartitionMismatch(
                f"the store was made for {made_for} partitions; "
                f"WEBRTC_EVENTS_PARTITIONS asks for {self.partitions}"
            )


# Source: webrtc-events.yaml, MediaSession.status: the states in which the callee is still asked.
_BEFORE_ANSWER = frozenset({"Initial", "InProgress", "Ringing", "Proceeding", "Waiting"})


# As they are sent, for they are sent very often.
_FIELDS = [each.encode() for each in FIELDS_OF_SUBSCRIPTION]
# In front of why, in answers of scripts.
_DAMAGED = "damaged: "
# What is damaged is looked at again after so long. Source: lua/claim.lua.
_LOOK_AWAY_S = 60

_T = TypeVar("_T")


def _reached(what: Iterable[_T], answers: Sequence[Any]) -> list[tuple[_T, Any]]:
    """Those that were answered, with their answers.

    Raises:
        Unavailable: none was.
    """
    found = [pair for pair in zip(what, answers, strict=True) if not isinstance(pair[1], Unavailable)]
    if answers and not found:
        raise answers[0]
    return found


def _named_fields(values: Any) -> Any:
    """What a hash has of a subscription's fields, or what the store said in its place."""
    if isinstance(values, Exception):
        return values
    pairs = zip(FIELDS_OF_SUBSCRIPTION, values, strict=True)
    return {name: value for name, value in pairs if value is not None}


def _possible(act: Callable[..., None], *args: Any) -> bool:
    """Whether it was done. What it needs may be on a node that is out: a later sweep does it."""
    try:
        act(*args)
    except Unavailable:
        return False
    return True


def _script_options(settings: Settings, options: StoreOptions) -> dict[str, int]:
    """Source: lua/common.lua."""
    return {
        "format": FORMAT,
        "offset_ms": options.offset_ms,
        "work": options.work,
        "lease_ms": options.lease_ms,
        "end_deadline_ms": settings.deadline_ms(EventType.SUBSCRIPTION_ENDED),
        "registration_ends_deadline_ms": settings.deadline_ms(EventType.REGISTRATION_ENDS),
        "dedupe_ms": settings.dedupe_window_s * 1000,
        "retention_ms": settings.retention_s * 1000,
        "token_lead_ms": settings.token_lead_s * 1000,
        "linger_ms": settings.session_linger_s * 1000,
        "state_ms": settings.state_s * 1000,
        "max_lifetime_ms": settings.max_lifetime_s * 1000,
        "outbox_length": settings.outbox_length,
        "outbox_bytes": settings.outbox_bytes,
        "outbox_age_ms": settings.outbox_age_s * 1000,
        "dead_letters": settings.dead_letters,
        "dead_letters_bytes": settings.dead_letters_bytes,
        "dead_letters_ms": settings.dead_letters_s * 1000,
        "attempts": settings.attempts,
        "attempts_ms": settings.attempts_s * 1000,
        "sink_failure_ms": settings.sink_failure_s * 1000,
        "sink_validation_ms": settings.sink_validation_s * 1000,
        "watermark": settings.store_watermark,
    }


def _index_session(pipe: Any, subscription: Subscription, partition: Partition) -> None:
    """The session leads to the partition for as long as the subscription may need it."""
    if subscription.session is None:
        return
    key = session_key(subscription.session)
    pipe.sadd(key, partition.number)
    pipe.expire(key, _SESSION_INDEX_TTL_S, nx=True)
    pipe.expire(key, _SESSION_INDEX_TTL_S, gt=True)
    if subscription.expires_at_ms is not None:
        pipe.pexpireat(key, subscription.expires_at_ms + _SESSION_INDEX_TTL_S * 1000, gt=True)
