"""A create in the store: in one step where it has no slots, else what leads to the subscription first."""

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Subscription
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import Partition, client_key, session_key, session_state_key
from webrtc_events.store.redis.scripts import SlotsFound
from webrtc_events.store.session_index import SessionIndex
from webrtc_events.store.session_joins import JoinedSession, JoinRefusal, SessionJoins
from webrtc_events.store.subscription_calls import (
    CreateOutcome,
    CreateResult,
    Leading,
    SubscriptionLimits,
    create_call,
    create_result,
)

__all__ = ["SubscriptionCreates"]


class _Create(NamedTuple):
    """What is to be made, with further `fields` of its record; `channel`: the one that is its sink."""

    subscription: Subscription
    partition: Partition
    fields: Mapping[str, str | int]
    channel: str | None


class SubscriptionCreates:
    """Every method may raise `errors.Unavailable`."""

    def __init__(
        self,
        connection: Connection,
        limits: SubscriptionLimits,
        client_index: ClientIndex,
        session_index: SessionIndex,
        session_joins: SessionJoins,
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._client_index = client_index
        self._session_index = session_index
        self._session_joins = session_joins

    def run(
        self,
        subscription: Subscription,
        partition: Partition,
        fields: Mapping[str, str | int],
        channel: str | None,
    ) -> CreateResult:
        """Makes it, with further `fields` of its record; of one that is not made nothing stays for long."""
        create = _Create(subscription, partition, fields, channel)
        result = self._in_one(create)
        return self._in_steps(create) if result.outcome is CreateOutcome.APART else result

    def _in_one(self, create: _Create) -> CreateResult:
        """In one step, with what leads to it. APART: nothing was done."""
        if self._connection.client.nodes.has_slots:
            return CreateResult(CreateOutcome.APART)
        subscription, partition, fields, channel = create
        keys = [client_key(subscription.client)]
        if subscription.session is not None:
            keys += [session_key(subscription.session), session_state_key(subscription.session)]
        args: list[str | int] = [
            self._limits.per_client or "",
            *self._session_index.prolong_args(subscription, partition),
            int(self._session_joins.must_be_known),
            *self._client_index.unconfirmed(subscription.client),
        ]
        call = create_call(
            partition,
            subscription,
            fields,
            self._limits,
            session_room=self._limits.per_session or None,
            session_over=False,
            channel=channel,
            leading=Leading(keys, args),
        )
        try:
            (answer,) = self._connection.scripts.run_across_slots([call])
        except SlotsFound:
            return CreateResult(CreateOutcome.APART)
        return create_result(answer)

    def _in_steps(self, create: _Create) -> CreateResult:
        """What leads to it first, each in its slot."""
        subscription, partition, fields, channel = create
        outcome, joined, room = self._joined(subscription, partition)
        if outcome is CreateOutcome.QUOTA:
            return CreateResult(outcome)
        result = CreateResult(outcome)
        if outcome is CreateOutcome.CREATED:
            call = create_call(
                partition,
                subscription,
                fields,
                self._limits,
                session_room=room,
                session_over=joined is not None and joined.state.is_over,
                channel=channel,
            )
            result = create_result(self._session_joins.run_create(subscription, partition, call))
        if result.outcome is not CreateOutcome.CREATED:
            self._client_index.remove(subscription.client, subscription.id)
        return result

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
