"""Subscriptions: the record of each, from its creation to its end."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from webrtc_events.core.errors import DamagedRecord, Unavailable
from webrtc_events.core.model import Status, Subscription, TerminationReason
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.connection import Connection
from webrtc_events.store.device_marks import DeviceMarks
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.keys import client_key, partition_of_subscription
from webrtc_events.store.packed_requests import packed
from webrtc_events.store.record_defaults import RECORD_DEFAULTS, without_defaults
from webrtc_events.store.records import reason_of_damage
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors, store_is_full
from webrtc_events.store.session_index import SessionIndex
from webrtc_events.store.subscription_calls import (
    CreateOutcome,
    CreateResult,
    SubscriptionLimits,
    UpdateOutcome,
    UpdateResult,
    fields_of,
    record_of,
    update_call,
    update_result,
)
from webrtc_events.store.subscription_creates import SubscriptionCreates
from webrtc_events.store.subscription_reads import read_subscriptions

__all__ = [
    "CreateOutcome",
    "CreateResult",
    "DamagedOwner",
    "EndOutcome",
    "SubscriptionLimits",
    "SubscriptionRecords",
    "UpdateOutcome",
    "UpdateResult",
]

log = logging.getLogger(__name__)


class EndOutcome(StrEnum):
    """ALREADY: another cause came first. Source: lua/end.lua."""

    ENDED = "ended"
    ALREADY = "already"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class DamagedOwner:
    """Whether one that cannot be read is the client's; its subject and contract, None: not known."""

    is_client: bool
    subject: str | None
    contract: str | None


class SubscriptionRecords:
    """Every method may raise `errors.Unavailable`."""

    def __init__(
        self,
        connection: Connection,
        creates: SubscriptionCreates,
        client_index: ClientIndex,
        session_index: SessionIndex,
        initial_events: InitialEvents,
        device_marks: DeviceMarks,
        *,
        packs: bool,
        omits_defaults: bool,
    ) -> None:
        """`packs`: no process of the release before, which reads whole requests, uses the store.

        `omits_defaults`: the same of records that lack them.
        """
        self._connection = connection
        self._creates = creates
        self._client_index = client_index
        self._session_index = session_index
        self._initial_events = initial_events
        self._device_marks = device_marks
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
        listens in: a session that is known to involve others only is refused. A subscription to a device may
        be made before any registration of it.
        """
        self._connection.guard.check()
        partition = self._connection.partition_of_known(subscription.id)
        if subscription.device is not None:
            self._device_marks.set(subscription.device)
        fields = fields_of(subscription, self._kept(subscription, {"sink": sink}), sink, headers, sealed)
        if self._omits_defaults:
            fields = without_defaults(fields)
        result = self._creates.run(subscription, partition, fields, channel)
        if result.outcome is CreateOutcome.FULL:
            raise store_is_full()
        if result.outcome is not CreateOutcome.CREATED:
            return result
        self._client_index.confirm(subscription.client, subscription.id)
        if subscription.initial_event and subscription.origin is None and subscription.device is None:
            try:
                self._initial_events.append(subscription)
            except (DamagedRecord, Unavailable):
                log.warning("the initial event of subscription=%s is left to the sweeper", subscription.id)
        return result

    def _kept(self, subscription: Subscription, known: Mapping[str, str]) -> str:
        """Its request, as it is kept; `known`: further fields of its record."""
        if not self._packs:
            return json.dumps(subscription.request)
        return packed(subscription.request, {**record_of(subscription), **known})

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
        record = record_of(subscription)
        request = self._kept(subscription, {})
        call = update_call(partition, subscription, request, expires_at_ms=expires_at_ms, sealed=sealed)
        return update_result(self._connection.run(call), record)

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription without its credential, or None if there is none (any more).

        Raises:
            DamagedRecord: it cannot be read.
        """
        found = next(iter(read_subscriptions(self._connection, [subscription_id])), None)
        if isinstance(found, DamagedRecord):
            raise found
        return found

    def owner_of_damaged(self, subscription_id: str, client: str) -> DamagedOwner:
        """What can be read of whose one is that cannot be read."""
        partition = self._connection.partition_of_known(subscription_id)
        with store_errors():
            pipe = self._connection.client.pipeline()
            pipe.hmget(partition.subscription(subscription_id), "client", "subject", "contract")
            pipe.zscore(client_key(client), subscription_id)
            fields, named = answers_of(pipe)
        is_named = named is not None and not isinstance(named, Exception)
        if isinstance(fields, Exception):
            return DamagedOwner(is_named, None, None)
        owner, subject, contract = fields
        is_client = owner == client if owner else is_named
        return DamagedOwner(is_client, subject, contract or RECORD_DEFAULTS["contract"])

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
