"""Subscriptions: the record of each, from its creation to its end."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from webrtc_events.core.credentials import fetches_token
from webrtc_events.core.errors import DamagedRecord, Unavailable
from webrtc_events.core.model import Status, Subscription, TerminationReason
from webrtc_events.core.settings import Settings
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.connection import Connection
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.keys import Partition, client_key, partition_of_subscription
from webrtc_events.store.packed_requests import packed, whole
from webrtc_events.store.record_defaults import without_defaults
from webrtc_events.store.records import reason_of_damage
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors, store_is_full
from webrtc_events.store.session_index import SessionIndex
from webrtc_events.store.session_joins import JoinedSession, JoinRefusal, SessionJoins
from webrtc_events.store.subscription_reads import read_subscriptions

__all__ = [
    "CreateOutcome",
    "CreateResult",
    "EndOutcome",
    "SubscriptionLimits",
    "SubscriptionRecords",
    "UpdateOutcome",
    "UpdateResult",
]

log = logging.getLogger(__name__)


class CreateOutcome(StrEnum):
    """CREATED, or why not. Source: lua/create.lua. FULL is raised, as `errors.Unavailable`.

    The quotas say that there are as many subscriptions as there may be: of the client, to the registration,
    or to the session. The session ones are found out before: lua/join_session.lua. NO_CHANNEL: the channel
    that is to be the sink has no log in the partition (any more).
    """

    CREATED = "created"
    EXPIRED = "expired"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - an outcome, no token
    MISMATCH = "mismatch"
    UNKNOWN_REGISTRATION = "unknown_registration"
    SESSION_MISMATCH = "session_mismatch"
    UNKNOWN_SESSION = "unknown_session"
    QUOTA = "quota"
    REGISTRATION_QUOTA = "registration_quota"
    SESSION_QUOTA = "session_quota"
    NO_CHANNEL = "no_channel"
    FULL = "full"


class UpdateOutcome(StrEnum):
    """UPDATED, or why not. Source: lua/update.lua."""

    UPDATED = "updated"
    GONE = "gone"
    ENDED = "ended"
    EXPIRED = "expired"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - an outcome, no token


class EndOutcome(StrEnum):
    """ALREADY: another cause came first. Source: lua/end.lua."""

    ENDED = "ended"
    ALREADY = "already"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class CreateResult:
    """A subscription that was created starts at `now_ms` and ends by `expires_at_ms`, if it has an end."""

    outcome: CreateOutcome
    now_ms: int = 0
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """A subscription that was updated ends by `expires_at_ms`, if it has an end, and shows `request`."""

    outcome: UpdateOutcome
    expires_at_ms: int | None = None
    request: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """How many subscriptions there may be that are not over; 0: no limit."""

    per_client: int
    per_registration: int
    per_session: int
    require_known_registration: bool

    @classmethod
    def of(cls, settings: Settings) -> "SubscriptionLimits":
        return cls(
            per_client=settings.max_subscriptions,
            per_registration=settings.max_registration_subscriptions,
            per_session=settings.max_session_subscriptions,
            require_known_registration=settings.require_known_registration,
        )


class SubscriptionRecords:
    """Every method may raise `errors.Unavailable`."""

    def __init__(
        self,
        connection: Connection,
        limits: SubscriptionLimits,
        client_index: ClientIndex,
        session_index: SessionIndex,
        session_joins: SessionJoins,
        initial_events: InitialEvents,
        *,
        packs: bool,
        omits_defaults: bool,
    ) -> None:
        """`packs`: no process of the release before, which reads whole requests, uses the store.

        `omits_defaults`: the same of records that lack them.
        """
        self._connection = connection
        self._limits = limits
        self._client_index = client_index
        self._session_index = session_index
        self._session_joins = session_joins
        self._initial_events = initial_events
        self._packs = packs
        self._omits_defaults = omits_defaults

    def create(
        self,
        subscription: Subscription,
        *,
        sink: str,
        headers: Mapping[str, str],
        sealed: str | None,
        channel: str | None = None,
    ) -> CreateResult:
        """Stores a subscription; `starts_at_ms` and `status` of the argument are ignored.

        `sink` is the address to POST to, which may be written otherwise than in the request. `channel`: it is
        the URL of that one. With an `origin` the subscription is not active until the sink has agreed. Nobody
        listens in: a session that is known to involve others only is refused.
        """
        self._connection.guard.check()
        partition = self._connection.partition_of_known(subscription.id)
        outcome, joined, room = self._joined(subscription, partition)
        if outcome is CreateOutcome.QUOTA:
            return CreateResult(outcome)
        result = CreateResult(outcome)
        if outcome is CreateOutcome.CREATED:
            fields = _fields(subscription, self._kept(subscription, {"sink": sink}), sink, headers, sealed)
            call = _create_call(
                partition,
                subscription,
                without_defaults(fields) if self._omits_defaults else fields,
                self._limits,
                session_room=room,
                session_over=joined is not None and joined.state.is_over,
                channel=channel,
            )
            result = _create_result(self._session_joins.run_create(subscription, partition, call))
        if result.outcome is not CreateOutcome.CREATED:
            self._client_index.remove(subscription.client, subscription.id)
            if result.outcome is CreateOutcome.FULL:
                raise store_is_full()
            return result
        self._client_index.confirm(subscription.client, subscription.id)
        if subscription.initial_event and subscription.origin is None:
            try:
                self._initial_events.append(subscription)
            except (DamagedRecord, Unavailable):
                log.warning("the initial event of subscription=%s is left to the sweeper", subscription.id)
        return result

    def _kept(self, subscription: Subscription, known: Mapping[str, str]) -> str:
        """Its request, as it is kept; `known`: further fields of its record."""
        if not self._packs:
            return json.dumps(subscription.request)
        return packed(subscription.request, {**_record_of(subscription), **known})

    def _joined(
        self, subscription: Subscription, partition: Partition
    ) -> tuple[CreateOutcome, JoinedSession | None, int | None]:
        """CREATED if it may be made, or why not; its session, which leads to it now, and `_session_room`.

        Its client's index names it now, unless the client has no room for it: QUOTA.
        """
        reserved, answers = self._client_index.reserve_beside(
            subscription.client,
            subscription.id,
            self._limits.per_client,
            self._session_joins.calls(subscription, partition),
        )
        try:
            joined = self._session_joins.joined(subscription, partition, answers)
            outcome = self._session_outcome(subscription, joined)
            if outcome is CreateOutcome.CREATED and not reserved:
                outcome = CreateOutcome.QUOTA
            may_be = outcome is CreateOutcome.CREATED
            room = self._session_room(subscription, partition, joined) if may_be else None
        except Unavailable:
            # It will not be made. Where its client's index is out too, it counts for a minute.
            with suppress(Unavailable):
                self._client_index.remove(subscription.client, subscription.id)
            raise
        return outcome, joined, room

    def _session_outcome(self, subscription: Subscription, joined: JoinedSession | None) -> CreateOutcome:
        """CREATED, or why there is to be none to its session."""
        match joined and self._session_joins.refused(subscription, joined):
            case JoinRefusal.OF_OTHERS:
                return CreateOutcome.SESSION_MISMATCH
            case JoinRefusal.UNKNOWN:
                return CreateOutcome.UNKNOWN_SESSION
        return CreateOutcome.CREATED

    def _session_room(
        self, subscription: Subscription, partition: Partition, joined: JoinedSession | None
    ) -> int | None:
        """How many subscriptions to its session may be in its partition; None: there is no limit.

        Of several that are made at once in several partitions, a few too many may get in.
        """
        limit = self._limits.per_session
        if joined is None or not limit:
            return None
        return limit - self._session_joins.elsewhere(subscription, partition, joined)

    def update(
        self, subscription: Subscription, *, expires_at_ms: int | None, sealed: str | None
    ) -> UpdateResult:
        """Gives a subscription that is not over a new expiry, a new sink credential, or both; None leaves it.

        With a new expiry, `subscription.request` says so; `sealed` is `subscription.credential`.
        """
        self._connection.guard.check()
        partition = self._connection.partition_of_known(subscription.id)
        # Before the subscription lives longer, what leads to it must.
        self._session_index.add(replace(subscription, expires_at_ms=expires_at_ms), partition)
        record = _record_of(subscription)
        request = self._kept(subscription, {})
        call = _update_call(partition, subscription, request, expires_at_ms=expires_at_ms, sealed=sealed)
        return _update_result(self._connection.run(call), record)

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription without its credential, or None if there is none (any more).

        Raises:
            DamagedRecord: it cannot be read.
        """
        found = next(iter(read_subscriptions(self._connection, [subscription_id])), None)
        if isinstance(found, DamagedRecord):
            raise found
        return found

    def owner_of_damaged(self, subscription_id: str, client: str) -> tuple[bool, str | None]:
        """Whether one that cannot be read is the client's; the subject that it is of, if that is known."""
        partition = self._connection.partition_of_known(subscription_id)
        with store_errors():
            pipe = self._connection.client.pipeline()
            pipe.hmget(partition.subscription(subscription_id), "client", "subject")
            pipe.zscore(client_key(client), subscription_id)
            fields, named = answers_of(pipe)
        owner, subject = (None, None) if isinstance(fields, Exception) else fields
        is_named = named is not None and not isinstance(named, Exception)
        return (owner == client if owner else is_named), subject

    def discard(self, subscription_id: str, client: str) -> bool:
        """Removes a subscription that cannot be read, without a word to its sink; False: there was none."""
        partition = self._connection.partition_of_known(subscription_id)
        call = Call("discard", [partition.subscription(subscription_id)], partition.tag, [subscription_id])
        found = bool(self._connection.run(call))
        self._client_index.remove(client, subscription_id)
        return found

    def end(
        self, subscription_id: str, reason: TerminationReason, status: Status, *, drop_pending: bool
    ) -> EndOutcome:
        """Ends a subscription, unless another cause came first.

        Raises:
            DamagedRecord: it cannot be read.
        """
        partition = partition_of_subscription(subscription_id, self._connection.partition_count)
        if partition is None:
            return EndOutcome.GONE
        args: list[str | int] = [subscription_id, reason, status, int(drop_pending)]
        answer = self._connection.run(
            Call("end", [partition.subscription(subscription_id)], partition.tag, args)
        )
        why = reason_of_damage(answer)
        if why is not None:
            raise DamagedRecord(subscription_id, why)
        return EndOutcome(answer)


def _fields(
    subscription: Subscription, request: str, sink: str, headers: Mapping[str, str], sealed: str | None
) -> dict[str, str | int]:
    """Of its hash, those that the script takes as they are."""
    fields: dict[str, str | int] = {
        "request": request,
        "max_events": "" if subscription.max_events is None else subscription.max_events,
        "sink": sink,
        "headers": json.dumps(dict(headers)),
        "contract": subscription.contract,
    }
    if sealed is not None:
        fields |= {"credential": sealed, **({"fetches_token": 1} if fetches_token(sealed) else {})}
    return fields


def _create_call(
    partition: Partition,
    subscription: Subscription,
    fields: Mapping[str, str | int],
    limits: SubscriptionLimits,
    *,
    session_room: int | None,
    session_over: bool,
    channel: str | None,
) -> Call:
    """Source: lua/create.lua."""
    args: list[str | int] = [
        subscription.id,
        subscription.type,
        subscription.registration,
        subscription.session or "",
        "" if subscription.expires_at_ms is None else subscription.expires_at_ms,
        "" if subscription.token_expires_at_ms is None else subscription.token_expires_at_ms,
        subscription.client,
        subscription.subject or "",
        int(limits.require_known_registration),
        int(subscription.initial_event),
        int(session_over),
        subscription.origin or "",
        limits.per_registration or "",
        "" if session_room is None else session_room,
        channel or "",
        *(part for pair in fields.items() for part in pair),
    ]
    return Call("create", [partition.subscription(subscription.id)], partition.tag, args)


def _create_result(answer: tuple[str, str | int, str | int]) -> CreateResult:
    outcome, now_ms, expires_at = answer
    return CreateResult(CreateOutcome(outcome), int(now_ms), int(expires_at) if expires_at else None)


def _record_of(subscription: Subscription) -> dict[str, str]:
    """Fields of its record, under their names there. How its sink is written there is not known."""
    return {
        "type": subscription.type,
        "registration": subscription.registration,
        "session": subscription.session or "",
    }


def _update_call(
    partition: Partition,
    subscription: Subscription,
    request: str,
    *,
    expires_at_ms: int | None,
    sealed: str | None,
) -> Call:
    """Source: lua/update.lua."""
    args: list[str | int] = [
        subscription.id,
        "" if expires_at_ms is None else expires_at_ms,
        "" if expires_at_ms is None else request,
        "" if sealed is None else "never" if fetches_token(sealed) else subscription.token_expires_at_ms or 0,
        sealed or "",
    ]
    return Call("update", [partition.subscription(subscription.id)], partition.tag, args)


def _update_result(answer: Sequence[str], record: Mapping[str, str]) -> UpdateResult:
    """`record`: fields that the update has not changed."""
    if answer[0] != UpdateOutcome.UPDATED:
        return UpdateResult(UpdateOutcome(answer[0]))
    _, expires_at, request, sink = answer
    shown = json.loads(whole(request, {**record, "sink": sink}))
    return UpdateResult(UpdateOutcome.UPDATED, int(expires_at) if expires_at else None, shown)
