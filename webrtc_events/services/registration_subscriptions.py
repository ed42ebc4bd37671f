"""Subscriptions of version 0.2: each to one type of event of a registration or media session."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from webrtc_events.contract.webrtc_events_types import (
    Config,
    HTTPSettings,
    HTTPSubscriptionRequest,
    WebrtcSubscriptionDetail,
)
from webrtc_events.core.errors import InvalidArgument, Unprocessable
from webrtc_events.core.model import Caller, ContractVersion, EventType
from webrtc_events.core.scopes import require_any_scope
from webrtc_events.services.subscription_requests import (
    SinkRules,
    SubscriptionRequest,
    SubscriptionTerms,
    known_members,
)

__all__ = ["RegistrationSubscriptions"]

# Source: network-events.yaml, NetworkRegistrationId and mediaSessionId: no other could ever match.
_MAX_REGISTRATION_CHARACTERS: Final = 256
_MAX_SESSION_CHARACTERS: Final = 512
_CONTROL: Final = re.compile(r"[\x00-\x1F\x7F]")


class RegistrationSubscriptions:
    """A `SubscriptionVersion`. Source: webrtc-events.yaml."""

    contract: Final = ContractVersion.V0_2
    # Those of former releases under a contract that never was are this API's too: it showed them then.
    contracts: Final = frozenset({ContractVersion.V0_2.value, ContractVersion.NEXT.value})

    def authorize(self, caller: Caller, request: Mapping[str, Any]) -> None:
        """The scope for the one type.

        Raises:
            Unprocessable: more than one event type.
            InsufficientScope: no scope for the type asked for.
        """
        require_any_scope(caller, [f"webrtc-events:{_requested_type(request)}:create"])

    def parse(self, request: Mapping[str, Any], rules: SinkRules) -> SubscriptionRequest:
        """
        Raises:
            Unprocessable: more than one event type.
            InvalidArgument: what the contract cannot say.
        """
        event_type = _requested_type(request)
        config = request["config"]
        detail = config["subscriptionDetail"]
        return SubscriptionRequest(
            types=(event_type,),
            registration=_registration(detail),
            session=_session(event_type, detail),
            device=None,
            terms=SubscriptionTerms.parse(request, rules),
            initial_event=config.get("initialEvent", False),
            shown=_shown(request),
        )


def _requested_type(request: Mapping[str, Any]) -> EventType:
    types = request["types"]
    if len(types) > 1:
        raise Unprocessable(
            "$.types: one event type a subscription.", code="MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED"
        )
    return EventType(types[0])


def _registration(detail: Mapping[str, Any]) -> str:
    registration: str = detail["registrationId"]
    if not 1 <= len(registration) <= _MAX_REGISTRATION_CHARACTERS:
        raise InvalidArgument(
            f"$.config.subscriptionDetail.registrationId: 1 to {_MAX_REGISTRATION_CHARACTERS} characters"
        )
    _check_characters("registrationId", registration)
    return registration


def _check_characters(name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise InvalidArgument(
            f"$.config.subscriptionDetail.{name}: holds a control character, such as a line end; leave it out"
        )


def _session(event_type: EventType, detail: Mapping[str, Any]) -> str | None:
    """The session id under either of its names: the schema says `sessionId`, the example `mediaSessionId`."""
    if event_type is not EventType.SESSION_STATUS:
        return None
    names = ("sessionId", "mediaSessionId")
    given = [value for name, value in detail.items() if name in names]
    if not given or not all(isinstance(name, str) and name for name in given):
        raise InvalidArgument("$.config.subscriptionDetail.sessionId: session-status needs a session id")
    if len(str(given[0])) > _MAX_SESSION_CHARACTERS:
        raise InvalidArgument(
            f"$.config.subscriptionDetail.sessionId: at most {_MAX_SESSION_CHARACTERS} characters"
        )
    _check_characters("sessionId", str(given[0]))
    if given[0] != given[-1]:
        raise InvalidArgument("$.config.subscriptionDetail: sessionId and mediaSessionId differ")
    return cast("str", given[0])


def _shown(request: Mapping[str, Any]) -> dict[str, Any]:
    kept = known_members(request, HTTPSubscriptionRequest, without="sinkCredential")
    kept["config"] = known_members(request["config"], Config)
    detail = request["config"]["subscriptionDetail"]
    kept["config"]["subscriptionDetail"] = known_members(detail, WebrtcSubscriptionDetail)
    if "mediaSessionId" in detail:
        kept["config"]["subscriptionDetail"]["mediaSessionId"] = detail["mediaSessionId"]
    if "protocolSettings" in request:
        kept["protocolSettings"] = known_members(request["protocolSettings"], HTTPSettings)
    return kept
