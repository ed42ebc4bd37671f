"""The subscription resource: create, list, read, update, delete.

Requests come here valid by the contract; what the contract cannot say is checked here.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

from webrtc_events.contract.conforming_pages import ConformingPages
from webrtc_events.contract.validators import Validator
from webrtc_events.core.channel_urls import NO_CHANNELS, ChannelUrls
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.errors import (
    DamagedRecord,
    InvalidArgument,
    NotFound,
    ServiceError,
    SubscriptionEnded,
    SubscriptionMismatch,
    TooManyRequests,
    Unprocessable,
)
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.core.model import (
    Caller,
    ContractVersion,
    PrivateKeyJwt,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.settings import Settings
from webrtc_events.services.subscription_pages import SubscriptionPage, page_of
from webrtc_events.services.subscription_requests import (
    Renewal,
    SinkRules,
    SubscriptionRequest,
    SubscriptionUpdate,
    credential_of_channel,
    no_such_channel,
)
from webrtc_events.services.subscription_resources import Resource, Resources, owns
from webrtc_events.services.subscription_versions import SERVED_VERSIONS
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import CreateOutcome, UpdateOutcome

__all__ = ["SubscriptionOptions", "Subscriptions"]

log = logging.getLogger(__name__)

# For each such number of subscriptions, a list counts as another request.
_LISTED_A_REQUEST = 100


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """What the settings say of subscriptions.

    `policy` decides which sinks are allowed, and `channels` which are no web servers. `box` seals sink
    credentials. `origin` is the name under which sinks are asked whether they agree; None: they are not.
    `jwks_uri`: where token servers find this operator's keys; None: it has none.
    """

    policy: AddressPolicy
    box: CredentialBox
    origin: str | None
    requests_at_once: int
    channels: ChannelUrls = NO_CHANNELS
    jwks_uri: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            policy=AddressPolicy(settings.sink_allowed_networks, settings.sink_ports),
            box=CredentialBox(settings.secret_key),
            origin=settings.origin if settings.sink_validation else None,
            requests_at_once=settings.requests_at_once,
            channels=ChannelUrls(settings.channels_url),
            jwks_uri=settings.token_jwks_uri if settings.token_keys else None,
        )


class Subscriptions:
    """What clients do with their subscriptions by the API of one version of the contract.

    `contract` is the version that subscriptions made here are under; of those under another version nothing
    is known here. `resources` validates what is shown of one, so that one which breaks the contract does not
    take the list with it.
    """

    def __init__(
        self,
        store: Store,
        options: SubscriptionOptions,
        contract: ContractVersion = ContractVersion.V0_2,
        resources: Validator | None = None,
    ) -> None:
        self._version = SERVED_VERSIONS[contract]
        self._resources = Resources(resources, self._version.contracts, options.jwks_uri)
        self._store = store
        self._origin = options.origin
        self._rules = SinkRules(options.policy, options.channels, options.jwks_uri)
        self._box = options.box
        self._requests_at_once = options.requests_at_once

    def count_request(self, caller: Caller) -> None:
        """Counts a request against the client's rate, whatever it asks for.

        Raises:
            TooManyRequests: the client's rate is used up.
        """
        self._pay(caller.client, 1)

    def create(self, caller: Caller, request: Mapping[str, Any]) -> Resource:
        """Stores a subscription and returns the resource, which is active or waits for its sink to agree.

        Raises:
            Unprocessable: the version does not combine these types.
            InsufficientScope: no scope for what is asked for.
            InvalidArgument: what the contract cannot say.
            TooManyRequests: the client, the registration, the session or the device has as many as it may.
            Unavailable: the store does not answer.
        """
        self._version.authorize(caller, request)
        parsed = self._version.parse(request, self._rules)
        terms = parsed.terms
        subscription = self._subscription(caller, parsed)
        if terms.channel is not None:
            self._join_channel(caller, terms.channel, subscription)
        result = self._store.subscriptions.create(
            subscription,
            sink=terms.sink,
            headers=terms.headers,
            sealed=self._sealed(subscription),
            channel=terms.channel,
        )
        if result.outcome is not CreateOutcome.CREATED:
            raise _refusal(result.outcome, subscription)
        log.info(
            "created subscription=%s type=%s subject=%s registration=%s device=%s host=%s",
            subscription.id,
            ",".join(event_type.rpartition(".")[2] for event_type in parsed.types),
            PersonalData(subscription.subject),
            PersonalData(parsed.registration or None),
            PersonalData(parsed.shown["config"]["subscriptionDetail"].get("deviceId")),
            urlsplit(terms.sink).netloc,
        )
        started = replace(subscription, starts_at_ms=result.now_ms, expires_at_ms=result.expires_at_ms)
        return self._resources.of(started, caller)

    def _join_channel(self, caller: Caller, channel_id: str, subscription: Subscription) -> None:
        """The channel has a log where the subscription is about to be: first the log, then the record.

        Raises:
            InvalidArgument: there is no such channel of this owner.
        """
        found = self._store.channels.get(channel_id)
        if found is None or (found.client, found.subject) != (caller.client, caller.subject):
            raise no_such_channel()
        partition = partition_of(subscription.routing_key, self._store.partitions)
        self._store.channel_logs.make(channel_id, partition)
        if self._store.channels.join(channel_id, partition.number) is None:
            self._store.channel_logs.remove(channel_id, [partition.number])
            raise no_such_channel()

    def _subscription(self, caller: Caller, request: SubscriptionRequest) -> Subscription:
        terms = request.terms
        # A channel is not asked: its owner made it here.
        origin = self._origin if terms.channel is None else None
        place = request.device or request.registration
        return Subscription(
            id=new_subscription_id(partition_of(place, self._store.partitions)),
            client=caller.client,
            subject=caller.subject,
            type=request.types[0],
            types=request.types,
            registration=request.registration,
            session=request.session,
            device=request.device,
            request=request.shown,
            starts_at_ms=0,
            expires_at_ms=terms.expires_at_ms,
            max_events=terms.max_events,
            credential=terms.credential,
            fetches_token=isinstance(terms.credential, PrivateKeyJwt),
            initial_event=request.initial_event,
            contract=self._version.contract,
            status=Status.ACTIVE if origin is None else Status.ACTIVATION_REQUESTED,
            origin=origin,
        )

    def list(self, caller: Caller) -> ConformingPages[Resource]:
        """The caller's subscriptions, oldest first, some at once; ended ones too while they are kept.

        Each hundred that the client has counts as a request.

        Raises:
            TooManyRequests: the client's rate is used up; before the first of them.
        """
        self._pay_for_list(caller.client)
        pages = self._store.subscription_lists.pages_of(caller.client)
        return self._resources.of_pages(pages, caller, self._store.damage.report)

    def page(self, caller: Caller, number: int, size: int) -> SubscriptionPage:
        """One page of `list`, the first of them number 1; it counts as many requests as the whole list does.

        Raises:
            TooManyRequests: the client's rate is used up.
        """
        self._pay_for_list(caller.client)
        lists = self._store.subscription_lists
        return page_of(lists, self._resources, caller, number, size, self._store.damage.report)

    def get(self, caller: Caller, subscription_id: str) -> Resource:
        """
        Raises:
            NotFound: none with that id, or another's: the two look alike.
            DamagedRecord: what is kept of it cannot be read.
        """
        return self._resources.shown(self._own(caller, subscription_id), caller)

    def update(self, caller: Caller, subscription_id: str, update: SubscriptionUpdate) -> Resource:
        """Renews the expiry, the sink credential, or both. The same update again changes nothing more.

        Raises:
            NotFound: none with that id, or another's.
            SubscriptionEnded: it has ended, or its time is up.
            InvalidArgument: a time that is not in the future, a token that no header can hold, or any for a
                channel.
        """
        found = self._own(caller, subscription_id)
        renewal = Renewal.parse(update, self._rules)
        if renewal.credential is not None and self._rules.channels.covers(found.request["sink"]):
            raise credential_of_channel()
        changed = replace(found, credential=renewal.credential)
        if renewal.credential is not None:
            changed = replace(changed, fetches_token=isinstance(renewal.credential, PrivateKeyJwt))
        if renewal.expire_time is not None:
            config = {**found.request["config"], "subscriptionExpireTime": renewal.expire_time}
            changed = replace(changed, request={**found.request, "config": config})
        sealed = self._sealed(changed)
        result = self._store.subscriptions.update(changed, expires_at_ms=renewal.expires_at_ms, sealed=sealed)
        if result.outcome is not UpdateOutcome.UPDATED:
            raise _refusal(result.outcome, found)
        log.info("updated subscription=%s", subscription_id)
        updated = replace(changed, request=result.request, expires_at_ms=result.expires_at_ms)
        return self._resources.of(updated, caller)

    def delete(self, caller: Caller, subscription_id: str) -> None:
        """Ends the subscription; what is not delivered yet is dropped, then the sink gets the end.

        Raises:
            NotFound: none with that id, or another's.
        """
        try:
            self._own(caller, subscription_id)
            # If it is gone by now, then by a DELETE like this one, or by this very one repeated.
            self._store.subscriptions.end(
                subscription_id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
            )
        except DamagedRecord as error:
            # Its sink gets no end: where it is cannot be read.
            self._store.damage.report(subscription_id, f"{error.why}; its owner deletes it")
            self._store.subscriptions.discard(subscription_id, caller.client)
        log.info("deleted subscription=%s", subscription_id)

    def _sealed(self, subscription: Subscription) -> str | None:
        credential = subscription.credential
        return None if credential is None else self._box.seal(credential, subscription.id)

    def _own(self, caller: Caller, subscription_id: str) -> Subscription:
        try:
            found = self._store.subscriptions.get(subscription_id)
        except DamagedRecord:
            owner = self._store.subscriptions.owner_of_damaged(subscription_id, caller.client)
            is_others = not owner.is_client or caller.subject not in (None, owner.subject)
            if is_others or owner.contract not in (None, *self._version.contracts):
                raise NotFound from None
            raise
        if found is None or not owns(caller, found) or found.contract not in self._version.contracts:
            raise NotFound
        return found

    def _pay_for_list(self, client: str) -> None:
        """More than the one request that every request is counted as."""
        if not self._store.rate_limits.limits_requests:
            return
        more = min(self._store.client_index.count(client) // _LISTED_A_REQUEST, self._requests_at_once - 1)
        if more > 0:
            self._pay(client, more, f"The list counts as {more + 1} requests; try again later.")

    def _pay(self, client: str, requests: int, message: str | None = None) -> None:
        wait_ms = self._store.rate_limits.take_token(client, requests)
        if wait_ms:
            raise TooManyRequests(message, headers={"Retry-After": str(math.ceil(wait_ms / 1000))})


def _refusal(outcome: CreateOutcome | UpdateOutcome, subscription: Subscription) -> ServiceError:
    """Why the store did not create or update."""
    match outcome:
        case UpdateOutcome.GONE:
            return NotFound()
        case UpdateOutcome.ENDED:
            return SubscriptionEnded()
        case CreateOutcome.EXPIRED | UpdateOutcome.EXPIRED:
            return InvalidArgument("$.config.subscriptionExpireTime is not in the future")
        case CreateOutcome.TOKEN_EXPIRED | UpdateOutcome.TOKEN_EXPIRED:
            return InvalidArgument("$.sinkCredential.accessTokenExpiresUtc is not in the future")
        case CreateOutcome.MISMATCH | CreateOutcome.SESSION_MISMATCH:
            return SubscriptionMismatch()
        case CreateOutcome.UNKNOWN_REGISTRATION:
            return Unprocessable("The registration is not known.", code="SERVICE_NOT_APPLICABLE")
        case CreateOutcome.UNKNOWN_SESSION:
            return Unprocessable("The session is not known.", code="SERVICE_NOT_APPLICABLE")
        case CreateOutcome.NO_CHANNEL:
            return no_such_channel()
        case CreateOutcome.QUOTA:
            return TooManyRequests(
                "The client has as many subscriptions as it may; end one first.", code="QUOTA_EXCEEDED"
            )
        case CreateOutcome.REGISTRATION_QUOTA:
            what = "device" if subscription.device else "registration"
            return TooManyRequests(
                f"The {what} has as many subscriptions as it may; end one first.", code="QUOTA_EXCEEDED"
            )
        case CreateOutcome.SESSION_QUOTA:
            return TooManyRequests(
                "The media session has as many subscriptions as it may; end one first.", code="QUOTA_EXCEEDED"
            )
        case _:
            raise ValueError(outcome)
