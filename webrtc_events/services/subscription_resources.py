"""What a client is shown of a subscription, and whose it is."""

from collections.abc import Callable, Iterable
from typing import cast

from webrtc_events.contract.conforming_pages import ConformingPages
from webrtc_events.contract.validators import Validator
from webrtc_events.contract.webrtc_events_types import Config, HTTPSubscriptionResponse
from webrtc_events.core.clock import format_time
from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import Caller, Subscription

__all__ = ["Resources", "owns", "resource_of"]


class Resources:
    """Shows what conforms to the contract, by `validator`; None shows everything."""

    def __init__(self, validator: Validator | None) -> None:
        self._validator = validator

    def shown(self, subscription: Subscription, caller: Caller) -> HTTPSubscriptionResponse:
        """
        Raises:
            DamagedRecord: what would be shown breaks the contract.
        """
        resource = resource_of(subscription, caller)
        fault = None if self._validator is None else self._validator.first_fault(resource)
        if fault is not None:
            raise DamagedRecord(subscription.id, f"what is shown of it breaks the contract at {fault.path}")
        return resource

    def of_pages(
        self, pages: Iterable[Iterable[Subscription]], caller: Caller, tell: Callable[[str, str], None]
    ) -> ConformingPages[HTTPSubscriptionResponse]:
        """Those of the caller. Of one that is damaged `tell` gets name and why."""
        shown = (self._readable(found, caller, tell) for found in pages)
        return ConformingPages(filter(None, shown), self._validator)

    def _readable(
        self, found: Iterable[Subscription], caller: Caller, tell: Callable[[str, str], None]
    ) -> list[HTTPSubscriptionResponse]:
        page = []
        for subscription in found:
            if owns(caller, subscription):
                try:
                    page.append(self.shown(subscription, caller))
                except DamagedRecord as error:
                    tell(error.name, error.why)
        return page


def owns(caller: Caller, subscription: Subscription) -> bool:
    """A client's own token reaches all that it made, a user's only that user's (design guide 6.7)."""
    return caller.client == subscription.client and caller.subject in (None, subscription.subject)


def resource_of(subscription: Subscription, caller: Caller) -> HTTPSubscriptionResponse:
    """What a client is shown. Under a three-legged token no device identifier (event guide 2.2.2)."""
    resource = cast("HTTPSubscriptionResponse", {**subscription.request})
    if caller.subject is not None:
        config = {**subscription.request["config"]}
        detail = config["subscriptionDetail"]
        config["subscriptionDetail"] = {name: detail[name] for name in detail if name != "deviceId"}
        resource["config"] = cast("Config", config)
    resource["id"] = subscription.id
    resource["startsAt"] = format_time(subscription.starts_at_ms)
    if subscription.expires_at_ms is not None:
        resource["expiresAt"] = format_time(subscription.expires_at_ms)
    resource["status"] = subscription.status.value
    return resource
