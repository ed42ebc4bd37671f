"""The subscription resource: create, list, read, delete.

Requests come here valid by the contract; what the contract cannot say is checked here.
"""

import copy
from typing import Any, cast

from webrtc_events.addresses import AddressPolicy, check_sink_url
from webrtc_events.clock import format_time, parse_time
from webrtc_events.contract_types import (
    HTTPSubscriptionRequest,
    HTTPSubscriptionResponse,
    WebrtcSubscriptionDetail,
)
from webrtc_events.credentials import CredentialBox
from webrtc_events.errors import InvalidArgument, NotFound, PermissionDenied, Unprocessable
from webrtc_events.keys import new_subscription_id, partition_of
from webrtc_events.model import Caller, Credential, EventType, Status, Subscription, TerminationReason
from webrtc_events.settings import Settings
from webrtc_events.sink_headers import check_sink_headers, check_sink_token
from webrtc_events.store import Store

__all__ = ["Subscriptions"]

# The largest count that Lua keeps exactly.
_MOST_EVENTS = 2**53


class Subscriptions:
    """What clients do with their subscriptions."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._policy = AddressPolicy(settings.sink_allowed_networks)
        self._box = CredentialBox(settings.secret_key)

    def create(self, caller: Caller, request: HTTPSubscriptionRequest) -> HTTPSubscriptionResponse:
        """Stores a subscription and returns the resource.

        Raises:
            Unprocessable: more than one event type.
            PermissionDenied: no scope for the type asked for.
            InvalidArgument: what the contract cannot say: see the checks below.
            Unavailable: the store does not answer.
        """
        event_type = _one_type(request)
        if f"webrtc-events:{event_type}:create" not in caller.scopes:
            raise PermissionDenied
        detail = request["config"]["subscriptionDetail"]
        registration = detail["registrationId"]
        sink = self._checked_sink(request)
        headers = _checked_headers(request)
        credential = _credential(request)
        subscription = Subscription(
            id=new_subscription_id(partition_of(registration, self._store.partitions)),
            client=caller.client,
            subject=caller.subject,
            type=event_type,
            registration=registration,
            session=_session(event_type, detail),
            request=_without_secrets(request),
            starts_at_ms=0,
            expires_at_ms=_expire_time(request),
            max_events=_max_events(request),
            credential=credential,
        )
        sealed = None if credential is None else self._box.seal(credential, subscription.id)
        outcome, now_ms = self._store.create(subscription, sink=sink, headers=headers, sealed=sealed)
        if outcome == "expired":
            raise InvalidArgument("$.config.subscriptionExpireTime is not in the future")
        if outcome == "token_expired":
            raise InvalidArgument("$.sinkCredential.accessTokenExpiresUtc is not in the future")
        return _resource(subscription, caller, starts_at_ms=now_ms)

    def list(self, caller: Caller) -> list[HTTPSubscriptionResponse]:
        """The caller's subscriptions, oldest first; ended ones too while they are kept."""
        found = self._store.list_of(caller.client)
        return [_resource(each, caller) for each in found if _owns(caller, each)]

    def get(self, caller: Caller, subscription_id: str) -> HTTPSubscriptionResponse:
        """
        Raises:
            NotFound: none with that id, or another's: the two look alike.
        """
        return _resource(self._own(caller, subscription_id), caller)

    def delete(self, caller: Caller, subscription_id: str) -> None:
        """Ends the subscription; what is not delivered yet is dropped, then the sink is told.

        Raises:
            NotFound: none with that id, or another's.
        """
        self._own(caller, subscription_id)
        outcome = self._store.end(
            subscription_id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
        )
        if outcome == "gone":
            raise NotFound

    def _own(self, caller: Caller, subscription_id: str) -> Subscription:
        found = self._store.get(subscription_id)
        if found is None or not _owns(caller, found):
            raise NotFound
        return found

    def _checked_sink(self, request: HTTPSubscriptionRequest) -> str:
        try:
            return check_sink_url(request["sink"], self._policy)
        except ValueError as error:
            raise InvalidArgument(f"$.sink: {error}", code="INVALID_SINK") from None


def _one_type(request: HTTPSubscriptionRequest) -> EventType:
    types = request["types"]
    if len(types) > 1:
        raise Unprocessable(
            "$.types: one event type a subscription.", code="MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED"
        )
    return EventType(types[0])


def _session(event_type: EventType, detail: WebrtcSubscriptionDetail) -> str | None:
    """The session id under either of its names: the schema says `sessionId`, the example `mediaSessionId`."""
    if event_type is not EventType.SESSION_STATUS:
        return None
    names = ("sessionId", "mediaSessionId")
    given = [value for name, value in detail.items() if name in names]
    if not given or not all(isinstance(each, str) and each for each in given):
        raise InvalidArgument("$.config.subscriptionDetail.sessionId: session-status needs a session id")
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


def _credential(request: HTTPSubscriptionRequest) -> Credential | None:
    given = request.get("sinkCredential")
    if given is None:
        return None
    try:
        check_sink_token(given["accessToken"])
    except ValueError as error:
        raise InvalidArgument(f"$.sinkCredential.accessToken: {error}") from None
    return Credential(
        given["accessToken"],
        _moment(given["accessTokenExpiresUtc"], "$.sinkCredential.accessTokenExpiresUtc"),
    )


def _expire_time(request: HTTPSubscriptionRequest) -> int | None:
    text = request["config"].get("subscriptionExpireTime")
    return None if text is None else _moment(text, "$.config.subscriptionExpireTime")


def _max_events(request: HTTPSubscriptionRequest) -> int | None:
    """JSON knows one kind of number: 5.0 is an integer too, and so is one with 90 digits."""
    most = request["config"].get("subscriptionMaxEvents")
    return None if most is None else min(int(most), _MOST_EVENTS)


def _moment(text: str, path: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        # The format is checked before; what is left are moments outside the years 1 to 9999.
        raise InvalidArgument(f"{path} is out of range", code="OUT_OF_RANGE") from None


def _without_secrets(request: HTTPSubscriptionRequest) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != "sinkCredential"}


def _owns(caller: Caller, subscription: Subscription) -> bool:
    return (caller.client, caller.subject) == (subscription.client, subscription.subject)


def _resource(
    subscription: Subscription, caller: Caller, *, starts_at_ms: int | None = None
) -> HTTPSubscriptionResponse:
    """What a client is shown. Under a three-legged token no device identifier (event guide 2.2.2)."""
    resource = cast("HTTPSubscriptionResponse", copy.deepcopy(subscription.request))
    if caller.subject is not None:
        resource["config"]["subscriptionDetail"].pop("deviceId", None)
    resource["id"] = subscription.id
    resource["startsAt"] = format_time(subscription.starts_at_ms if starts_at_ms is None else starts_at_ms)
    if subscription.expires_at_ms is not None:
        resource["expiresAt"] = format_time(subscription.expires_at_ms)
    resource["status"] = subscription.status.value
    return resource
