"""What a client is shown of a subscription, and whose it is."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, cast

from webrtc_events.contract.conforming_pages import ConformingPages
from webrtc_events.contract.validators import Validator
from webrtc_events.contract.webrtc_events_types import Config, HTTPSubscriptionResponse
from webrtc_events.core.clock import format_time
from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import Caller, ListedSubscription, OwnedSubscription, Subscription
from webrtc_events.services.private_key_jwt import shown_sink_credential

__all__ = ["Resource", "Resources", "owns", "resource_of"]

Resource = HTTPSubscriptionResponse
"""A subscription as it is shown: of version 0.3 too, which has the same members, but others in them."""

_Shown = Subscription | ListedSubscription


class Resources:
    """Shows those under `contracts` that conform to the contract, by `validator`; None shows all of them."""

    def __init__(
        self, validator: Validator | None, contracts: Collection[str], jwks_uri: str | None = None
    ) -> None:
        self.held_to = validator
        self._contracts = contracts
        self._jwks_uri = jwks_uri

    def of(self, subscription: _Shown, caller: Caller) -> Resource:
        """See `resource_of`; nothing is compared with the contract."""
        return resource_of(subscription, caller, self._jwks_uri)

    def has(self, subscription: _Shown | OwnedSubscription, caller: Caller) -> bool:
        """Whether it is one of the caller's, under these contracts."""
        return subscription.contract in self._contracts and owns(caller, subscription)

    def shown(self, subscription: _Shown, caller: Caller) -> Resource:
        """
        Raises:
            DamagedRecord: what would be shown breaks the contract.
        """
        resource = self.of(subscription, caller)
        fault = None if self.held_to is None else self.held_to.first_fault(resource)
        if fault is not None:
            raise DamagedRecord(subscription.id, f"what is shown of it breaks the contract at {fault.path}")
        return resource

    def of_pages(
        self, pages: Iterable[Iterable[ListedSubscription]], caller: Caller, tell: Callable[[str, str], None]
    ) -> ConformingPages[Resource]:
        """Those of the caller. Of one that is damaged `tell` gets name and why."""
        shown = (self.of_page(found, caller, tell) for found in pages)
        return ConformingPages(filter(None, shown), self.held_to)

    def of_page(
        self, found: Iterable[ListedSubscription], caller: Caller, tell: Callable[[str, str], None]
    ) -> list[Resource]:
        """See `of_pages`."""
        page = []
        for subscription in found:
            if self.has(subscription, caller):
                try:
                    page.append(self.shown(subscription, caller))
                except DamagedRecord as error:
                    tell(error.name, error.why)
        return page


def owns(caller: Caller, subscription: _Shown | OwnedSubscription) -> bool:
    """A client's own token reaches all that it made, a user's only that user's (design guide 6.7)."""
    return caller.client == subscription.client and caller.subject in (None, subscription.subject)


def resource_of(subscription: _Shown, caller: Caller, jwks_uri: str | None = None) -> Resource:
    """What a client is shown. Under a three-legged token no device identifier (event guide 2.2.2).

    That holds for a subscription to a device too. CAMARA's contract requires `deviceId` there; ours departs
    from it (webrtc-events-subscriptions.yaml, ShownSubscriptionDetail). `jwks_uri`: where the operator's keys
    are, which one with a credential of that kind is to know.
    """
    resource = cast("Resource", {**subscription.request})
    if caller.subject is not None:
        config = {**subscription.request["config"]}
        detail = config["subscriptionDetail"]
        config["subscriptionDetail"] = {name: detail[name] for name in detail if name != "deviceId"}
        resource["config"] = cast("Config", config)
    if (credential := shown_sink_credential(subscription, jwks_uri)) is not None:
        cast("dict[str, Any]", resource)["sinkCredential"] = credential
    resource["id"] = subscription.id
    resource["startsAt"] = format_time(subscription.starts_at_ms)
    if subscription.expires_at_ms is not None:
        resource["expiresAt"] = format_time(subscription.expires_at_ms)
    resource["status"] = subscription.status.value
    return resource
