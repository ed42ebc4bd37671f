"""Subscriptions of version 0.3: each to up to three types of event of a device."""

from collections.abc import Mapping
from typing import Any, Final

from webrtc_events.contract.webrtc_events_subscriptions_types import (
    Config,
    HTTPSettings,
    HTTPSubscriptionRequest,
    WebrtcSubscriptionDetail,
)
from webrtc_events.core.event_names import event_type_of
from webrtc_events.core.model import Caller, ContractVersion
from webrtc_events.core.scopes import require_all_scopes
from webrtc_events.services.subscription_requests import (
    SinkRules,
    SubscriptionRequest,
    SubscriptionTerms,
    known_members,
)

__all__ = ["DeviceSubscriptions"]


class DeviceSubscriptions:
    """A `SubscriptionVersion`. Source: webrtc-events-subscriptions.yaml.

    A type that is asked for twice counts once. `initialEvent` is shown again and does nothing: the contract
    says that it is not used, and each call begins with an event anyway.
    """

    contract: Final = ContractVersion.V0_3
    contracts: Final = frozenset({ContractVersion.V0_3.value})

    def authorize(self, caller: Caller, request: Mapping[str, Any]) -> None:
        """The scopes of all types.

        Raises:
            InsufficientScope: one is missing.
        """
        require_all_scopes(caller, [f"webrtc-events-subscriptions:{name}:create" for name in _types(request)])

    def parse(self, request: Mapping[str, Any], rules: SinkRules) -> SubscriptionRequest:
        """
        Raises:
            InvalidArgument: what the contract cannot say.
        """
        return SubscriptionRequest(
            types=tuple(event_type_of(self.contract, name) for name in _types(request)),
            registration="",
            session=None,
            # UUIDs that differ in case alone are the same (RFC 9562, 4).
            device=request["config"]["subscriptionDetail"]["deviceId"].lower(),
            terms=SubscriptionTerms.parse(request, rules),
            initial_event=False,
            shown=_shown(request),
        )


def _types(request: Mapping[str, Any]) -> list[str]:
    """Each once, in the order of the request."""
    return list(dict.fromkeys(request["types"]))


def _shown(request: Mapping[str, Any]) -> dict[str, Any]:
    kept = known_members(request, HTTPSubscriptionRequest, without="sinkCredential")
    config = known_members(request["config"], Config)
    config["subscriptionDetail"] = known_members(config["subscriptionDetail"], WebrtcSubscriptionDetail)
    kept |= {"types": _types(request), "config": config}
    if "protocolSettings" in request:
        kept["protocolSettings"] = known_members(request["protocolSettings"], HTTPSettings)
    return kept
