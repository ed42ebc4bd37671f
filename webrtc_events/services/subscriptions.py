"""The subscription resource: create, list, read, update, delete.

Requests come here valid by the contract; what the contract cannot say is checked here.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypedDict, cast
from urllib.parse import urlsplit

from webrtc_events.contract.documents import Validator
from webrtc_events.contract.webrtc_events_types import (
    AccessTokenCredential,
    Config,
    HTTPSettings,
    HTTPSubscriptionRequest,
    HTTPSubscriptionResponse,
    WebrtcSubscriptionDetail,
)
from webrtc_events.core.clock import parse_time
from webrtc_events.core.credentials import CredentialBox, token_expiry_ms
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
    Credential,
    EventType,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.scopes import require_any_scope
from webrtc_events.core.settings import Settings
from webrtc_events.services.subscription_resources import Resources, owns, resource_of
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.headers import check_sink_headers, check_sink_token
from webrtc_events.sinks.sink_url import check_sink_url
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.store import Store

__all__ = ["SubscriptionUpdate", "Subscriptions"]

log = logging.getLogger(__name__)

# Source: network-events.yaml, NetworkRegistrationId and mediaSessionId: no other could ever match.
_LONGEST_REGISTRATION = 256
_LONGEST_SESSION = 512
_CONTROL = re.compile(r"[\x00-\x1F\x7F]")
# The largest count that Lua keeps exactly.
_MOST_EVENTS = 2**53
# So many subscriptions in a list count as another request.
_LISTED_A_REQUEST = 100


class _ConfigUpdate(TypedDict, total=False):
    subscriptionExpireTime: str


class SubscriptionUpdate(TypedDict, total=False):
    """One of the two at least. Source: webrtc-events-next.yaml, SubscriptionUpdateRequest."""

    sinkCredential: AccessTokenCredential
    config: _ConfigUpdate


class Subscriptions:
    """What clients do with their subscriptions, whichever version of the contract they speak.

    `contract` is the version that subscriptions made here are under. `resources` validates what is shown
    of one, so that one which breaks the contract does not take the list with it.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        contract: ContractVersion = ContractVersion.V0_2,
        resources: Validator | None = None,
    ) -> None:
        self._resources = Resources(resources)
        self._store = store
        self._contract = contract
        self._require_known = settings.require_known_registration
        self._origin = settings.origin if settings.sink_validation else None
        self._policy = AddressPolicy(settings.sink_allowed_networks, settings.sink_ports)
        self._box = CredentialBox(settings.secret_key)
        self._requests_at_once = settings.requests_at_once

    def admit(self, caller: Caller) -> None:
        """Counts a request, whatever it is; to be called for each.

        Raises:
            TooManyRequests: the client's rate is used up.
        """
        self._pay(caller.client, 1)

    def create(self, caller: Caller, request: HTTPSubscriptionRequest) -> HTTPSubscriptionResponse:
        """Stores a subscription and returns the resource, which is active or waits for its sink to agree.

        Raises:
            Unprocessable: more than one event type.
            InsufficientScope: no scope for the type asked for.
            InvalidArgument: what the contract cannot say: see the checks below.
            TooManyRequests: the client, the registration or the session has as many as it may.
            Unavailable: the store does not answer.
        """
        event_type = _one_type(request)
        require_any_scope(caller, [f"webrtc-events:{event_type}:create"])
        detail = request["config"]["subscriptionDetail"]
        registration = _registration(detail)
        session = _session(event_type, detail)
        headers = _checked_headers(request)
        credential = _credential(request.get("sinkCredential"))
        sink = self._checked_sink(request)
        subscription = Subscription(
            id=new_subscription_id(partition_of(registration, self._store.partitions)),
            client=caller.client,
            subject=caller.subject,
            type=event_type,
            registration=registration,
            session=session,
            request=_kept(request),
            starts_at_ms=0,
            expires_at_ms=_expire_time(request["config"].get("subscriptionExpireTime")),
            max_events=_max_events(request),
            credential=credential,
            initial_event=request["config"].get("initialEvent", False),
            contract=self._contract,
            status=Status.ACTIVE if self._origin is None else Status.ACTIVATION_REQUESTED,
            origin=self._origin,
        )
        session_over = self._checked_session(subscription)
        result = self._store.create(
            subscription,
            sink=sink,
            headers=headers,
            sealed=self._sealed(subscription),
            session_over=session_over,
        )
        if result.outcome != "created":
            raise _refusal(result.outcome)
        log.info(
            "created subscription=%s type=%s subject=%s registration=%s device=%s host=%s",
            subscription.id,
            event_type.rpartition(".")[2],
            PersonalData(subscription.subject),
            PersonalData(registration),
            PersonalData(detail.get("deviceId")),
            urlsplit(sink).netloc,
        )
        started = replace(subscription, starts_at_ms=result.now_ms, expires_at_ms=result.expires_at_ms)
        return resource_of(started, caller)

    def list(self, caller: Caller) -> Iterator[list[HTTPSubscriptionResponse]]:
        """The caller's subscriptions, oldest first, some at once; ended ones too while they are kept.

        Each hundred that the client has counts as a request.

        Raises:
            TooManyRequests: the client's rate is used up; before the first of them.
        """
        self._pay_for_list(caller.client)
        for found in self._store.pages_of(caller.client):
            page = self._resources.readable(found, caller, self._store.damage.tell)
            if page:
                yield page

    def get(self, caller: Caller, subscription_id: str) -> HTTPSubscriptionResponse:
        """
        Raises:
            NotFound: none with that id, or another's: the two look alike.
            DamagedRecord: what is kept of it cannot be read.
        """
        return self._resources.shown(self._own(caller, subscription_id), caller)

    def update(
        self, caller: Caller, subscription_id: str, update: SubscriptionUpdate
    ) -> HTTPSubscriptionResponse:
        """Renews the expiry, the sink credential, or both. The same update again changes nothing more.

        Raises:
            NotFound: none with that id, or another's.
            SubscriptionEnded: it has ended, or its time is up.
            InvalidArgument: a time that is not in the future, or a token that no header can hold.
        """
        found = self._own(caller, subscription_id)
        expire_time = update.get("config", {}).get("subscriptionExpireTime")
        expires_at_ms = _expire_time(expire_time)
        changed = replace(found, credential=_credential(update.get("sinkCredential")))
        if expire_time is not None:
            config = {**found.request["config"], "subscriptionExpireTime": expire_time}
            changed = replace(changed, request={**found.request, "config": config})
        result = self._store.update(changed, expires_at_ms=expires_at_ms, sealed=self._sealed(changed))
        if result.outcome != "updated":
            raise _refusal(result.outcome)
        log.info("updated subscription=%s", subscription_id)
        return resource_of(replace(found, request=result.request, expires_at_ms=result.expires_at_ms), caller)

    def delete(self, caller: Caller, subscription_id: str) -> None:
        """Ends the subscription; what is not delivered yet is dropped, then the sink is told.

        Raises:
            NotFound: none with that id, or another's.
        """
        try:
            self._own(caller, subscription_id)
            # If it is gone by now, then by a DELETE like this one, or by this very one repeated.
            self._store.end(
                subscription_id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
            )
        except DamagedRecord as error:
            # Its sink cannot be told.
            self._store.damage.tell(subscription_id, f"{error.why}; its owner deletes it")
            self._store.discard(subscription_id, caller.client)
        log.info("deleted subscription=%s", subscription_id)

    def _checked_session(self, subscription: Subscription) -> bool:
        """Nobody listens in: a session that is known to involve others only is refused.

        Returns whether the session has had its last status.
        """
        if subscription.session is None:
            return False
        state = self._store.session_state(subscription.session)
        if state.is_of_others(subscription.registration):
            raise SubscriptionMismatch
        if self._require_known and not state.registrations:
            raise Unprocessable("The session is not known.", code="SERVICE_NOT_APPLICABLE")
        return state.latest is not None and state.latest.last

    def _sealed(self, subscription: Subscription) -> str | None:
        credential = subscription.credential
        return None if credential is None else self._box.seal(credential, subscription.id)

    def _own(self, caller: Caller, subscription_id: str) -> Subscription:
        try:
            found = self._store.get(subscription_id)
        except DamagedRecord:
            owned, subject = self._store.owner_of_damaged(subscription_id, caller.client)
            if not owned or caller.subject not in (None, subject):
                raise NotFound from None
            raise
        if found is None or not owns(caller, found):
            raise NotFound
        return found

    def _pay_for_list(self, client: str) -> None:
        """More than the one request that every request is counted as."""
        more = min(self._store.index.count(client) // _LISTED_A_REQUEST, self._requests_at_once - 1)
        if more > 0:
            self._pay(client, more, f"The list counts as {more + 1} requests; try again later.")

    def _pay(self, client: str, requests: int, message: str | None = None) -> None:
        wait_ms = self._store.admit(client, requests)
        if wait_ms:
            raise TooManyRequests(message, headers={"Retry-After": str(math.ceil(wait_ms / 1000))})

    def _checked_sink(self, request: HTTPSubscriptionRequest) -> str:
        try:
            return check_sink_url(request["sink"], self._policy)
        except ValueError as error:
            raise InvalidArgument(f"$.sink: {error}", code="INVALID_SINK") from None


def _refusal(outcome: str) -> ServiceError:
    """Why the store did not create or update. Source: store.CreateResult, store.UpdateResult."""
    match outcome:
        case "gone":
            return NotFound()
        case "ended":
            return SubscriptionEnded()
        case "expired":
            return InvalidArgument("$.config.subscriptionExpireTime is not in the future")
        case "token_expired":
            return InvalidArgument("$.sinkCredential.accessTokenExpiresUtc is not in the future")
        case "mismatch":
            return SubscriptionMismatch()
        case "unknown_registration":
            return Unprocessable("The registration is not known.", code="SERVICE_NOT_APPLICABLE")
        case "quota":
            return TooManyRequests(
                "The client has as many subscriptions as it may; end one first.", code="QUOTA_EXCEEDED"
            )
        case "registration_quota":
            return TooManyRequests(
                "The registration has as many subscriptions as it may; end one first.", code="QUOTA_EXCEEDED"
            )
        case "session_quota":
            return TooManyRequests(
                "The media session has as many subscriptions as it may; end one first.", code="QUOTA_EXCEEDED"
            )
        case _:
            raise ValueError(outcome)


def _one_type(request: HTTPSubscriptionRequest) -> EventType:
    types = request["types"]
    if len(types) > 1:
        raise Unprocessable(
            "$.types: one event type a subscription.", code="MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED"
        )
    return EventType(types[0])


def _registration(detail: WebrtcSubscriptionDetail) -> str:
    registration = detail["registrationId"]
    if not 1 <= len(registration) <= _LONGEST_REGISTRATION:
        raise InvalidArgument(
            f"$.config.subscriptionDetail.registrationId: 1 to {_LONGEST_REGISTRATION} characters"
        )
    _check_characters("registrationId", registration)
    return registration


def _check_characters(name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise InvalidArgument(
            f"$.config.subscriptionDetail.{name}: holds a control character, such as a line end; leave it out"
        )


def _session(event_type: EventType, detail: WebrtcSubscriptionDetail) -> str | None:
    """The session id under either of its names: the schema says `sessionId`, the example `mediaSessionId`."""
    if event_type is not EventType.SESSION_STATUS:
        return None
    names = ("sessionId", "mediaSessionId")
    given = [value for name, value in detail.items() if name in names]
    if not given or not all(isinstance(each, str) and each for each in given):
        raise InvalidArgument("$.config.subscriptionDetail.sessionId: session-status needs a session id")
    if len(str(given[0])) > _LONGEST_SESSION:
        raise InvalidArgument(f"$.config.subscriptionDetail.sessionId: at most {_LONGEST_SESSION} characters")
    _check_characters("sessionId", str(given[0]))
    if given[0] != given[-1]:
        raise InvalidArgument("$.config.subscriptionDetail: sessionId and mediaSessionId differ")
    return cast("str", given[0])


def _checked_headers(request: HTTPSubscriptionRequest) -> dict[str, str]:
    headers = request.get("protocolSettings", {}).get("headers", {})
    try:
        check_sink_headers(headers)
    except ValueError as error:
        raise InvalidArgument(f"$.protocolSettings.headers: {error}") from None
    return headers


def _credential(given: AccessTokenCredential | None) -> Credential | None:
    if given is None:
        return None
    try:
        check_sink_token(given["accessToken"])
    except ValueError as error:
        raise InvalidArgument(f"$.sinkCredential.accessToken: {error}") from None
    told_ms = _moment(given["accessTokenExpiresUtc"], "$.sinkCredential.accessTokenExpiresUtc")
    claimed_ms = token_expiry_ms(given["accessToken"])
    return Credential(given["accessToken"], told_ms if claimed_ms is None else min(told_ms, claimed_ms))


def _expire_time(text: str | None) -> int | None:
    return None if text is None else _moment(text, "$.config.subscriptionExpireTime")


def _max_events(request: HTTPSubscriptionRequest) -> int | None:
    """JSON knows one kind of number: 5.0 is an integer too, and so is one with 90 digits."""
    most = request["config"].get("subscriptionMaxEvents")
    return None if most is None else min(int(most), _MOST_EVENTS)


def _moment(text: str, path: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        # The format is checked before; what is left are moments outside the years 1 to 9999 in UTC.
        if text.startswith("000"):
            raise InvalidArgument(f"{path} is not in the future") from None
        raise InvalidArgument(f"{path} is out of range", code="OUT_OF_RANGE") from None


def _kept(request: HTTPSubscriptionRequest) -> dict[str, Any]:
    """What is stored and shown again: what the contract knows, but for the secret.

    A member that it does not know may be anything: a token under a misspelt name, or a lie
    about what the server decides.
    """
    kept = _known(request, HTTPSubscriptionRequest, without="sinkCredential")
    kept["config"] = _known(request["config"], Config)
    detail = request["config"]["subscriptionDetail"]
    kept["config"]["subscriptionDetail"] = _known(detail, WebrtcSubscriptionDetail)
    if "mediaSessionId" in detail:
        kept["config"]["subscriptionDetail"]["mediaSessionId"] = cast("Any", detail)["mediaSessionId"]
    if "protocolSettings" in request:
        kept["protocolSettings"] = _known(request["protocolSettings"], HTTPSettings)
    return kept


def _known(given: Mapping[str, Any], schema: type, *, without: str = "") -> dict[str, Any]:
    """Source: contract/webrtc_events_types.py, whose types have a key for each property of their schema."""
    return {name: given[name] for name in given if name in schema.__annotations__ and name != without}
