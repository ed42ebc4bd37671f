"""What a version of the contract says of subscriptions that another says differently."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from webrtc_events.core.model import Caller, ContractVersion
from webrtc_events.services.device_subscriptions import DeviceSubscriptions
from webrtc_events.services.registration_subscriptions import RegistrationSubscriptions
from webrtc_events.services.subscription_requests import SinkRules, SubscriptionRequest

__all__ = ["SERVED_VERSIONS", "SubscriptionVersion"]


class SubscriptionVersion(Protocol):
    """Of the API of one version. Its subscriptions are those under `contracts`, new ones under `contract`."""

    @property
    def contract(self) -> ContractVersion: ...

    @property
    def contracts(self) -> frozenset[str]: ...

    def authorize(self, caller: Caller, request: Mapping[str, Any]) -> None:
        """Refuses who lacks a scope for what is asked for; `request` is valid by the contract."""

    def parse(self, request: Mapping[str, Any], rules: SinkRules) -> SubscriptionRequest:
        """Reads such a request, and checks what the contract cannot say."""


SERVED_VERSIONS: Final[Mapping[ContractVersion, SubscriptionVersion]] = {
    ContractVersion.V0_2: RegistrationSubscriptions(),
    ContractVersion.V0_3: DeviceSubscriptions(),
}
"""By the contract of new subscriptions. None are made under `NEXT` any more."""
