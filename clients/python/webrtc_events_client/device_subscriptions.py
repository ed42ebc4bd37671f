"""Subscriptions of the contract 0.3, to the events of devices: what is asked for, and what is kept.

Source: webrtc-events-subscriptions.yaml, components.schemas. Times are aware `datetime` values. None stands
for a member that is absent. No `repr` shows a secret.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from webrtc_events_client.subscriptions import (
    ConfigUpdate,
    HttpSettings,
    KeptSubscription,
    Limits,
    SinkCredential,
    Value,
)

__all__ = [
    "DeviceConfig",
    "DeviceDetail",
    "DeviceEventType",
    "DeviceSubscription",
    "DeviceSubscriptionPage",
    "DeviceSubscriptionRequest",
    "DeviceSubscriptionUpdate",
    "PrivateKeyJwt",
    "ShownCredential",
    "ShownDeviceConfig",
    "ShownDeviceDetail",
]


class DeviceEventType(StrEnum):
    """The types of event that a device's subscription may ask for, one to all three."""

    SESSION_STATUS = "org.camaraproject.webrtc-events-subscriptions.v0.session-status"
    SESSION_INVITATION = "org.camaraproject.webrtc-events-subscriptions.v0.session-invitation"
    REGISTRATION_ENDS = "org.camaraproject.webrtc-events-subscriptions.v0.registration-ends"


class PrivateKeyJwt(Value, frozen=True):
    """The service gets access tokens for the sink at `token_uri`, an HTTPS URL, as `client_id`.

    It proves itself with a key of its own (RFC 7523). No secret is handed over.
    """

    client_id: str
    token_uri: str
    credential_type: Literal["PRIVATE_KEY_JWT"] = msgspec.field(default_factory=lambda: "PRIVATE_KEY_JWT")


class ShownCredential(Value, frozen=True):
    """What the service shows of a PrivateKeyJwt; of an access token it shows nothing.

    `jwks_uri` has the public keys by which an authorization server knows the service.
    """

    credential_type: str
    jwks_uri: str | None = None


class DeviceDetail(Value, frozen=True):
    """The device, a UUID. Its registrations may come and go."""

    device_id: str


class DeviceConfig(Limits, frozen=True, kw_only=True):
    """What the subscription is about, and when it ends. `initial_event` is accepted and does nothing."""

    subscription_detail: DeviceDetail


class ShownDeviceDetail(Value, frozen=True):
    """`device_id` is None where the access token stands for an end user: then it is not shown."""

    device_id: str | None = None


class ShownDeviceConfig(Limits, frozen=True, kw_only=True):
    """`DeviceConfig`, as the service shows it."""

    subscription_detail: ShownDeviceDetail


class DeviceSubscriptionRequest(Value, frozen=True):
    """What a client asks for. `sink` is an HTTPS URL."""

    sink: str
    types: tuple[DeviceEventType, ...]
    config: DeviceConfig
    protocol: Literal["HTTP"] = msgspec.field(default_factory=lambda: "HTTP")
    protocol_settings: HttpSettings | None = None
    sink_credential: SinkCredential | PrivateKeyJwt | None = None

    @classmethod
    def to(
        cls,
        event_types: Iterable[DeviceEventType],
        *,
        sink: str,
        device_id: str,
        expire_time: datetime | None = None,
        max_events: int | None = None,
        headers: Mapping[str, str] | None = None,
        credential: SinkCredential | PrivateKeyJwt | None = None,
    ) -> "DeviceSubscriptionRequest":
        """The same, without the nesting.

        Raises:
            ValueError: no type, or one twice.
        """
        types = tuple(event_types)
        if not types or len(set(types)) != len(types):
            raise ValueError("name one to three types of event, each once")
        return cls(
            sink=sink,
            types=types,
            config=DeviceConfig(
                subscription_detail=DeviceDetail(device_id=device_id),
                subscription_expire_time=expire_time,
                subscription_max_events=max_events,
            ),
            protocol_settings=None if headers is None else HttpSettings(headers=headers),
            sink_credential=credential,
        )


class DeviceSubscription(KeptSubscription, frozen=True, kw_only=True):
    """A subscription to a device, as the service keeps it."""

    config: ShownDeviceConfig
    sink_credential: ShownCredential | None = None


@dataclass(frozen=True, slots=True)
class DeviceSubscriptionPage:
    """A page of the list. `total` counts the whole list; None if the service does not say."""

    subscriptions: tuple[DeviceSubscription, ...]
    total: int | None


class DeviceSubscriptionUpdate(Value, frozen=True):
    """What to renew: one of the two at least. Source: SubscriptionUpdateRequest."""

    sink_credential: SinkCredential | PrivateKeyJwt | None = None
    config: ConfigUpdate | None = None

    def __post_init__(self) -> None:
        if self.sink_credential is None and self.config is None:
            raise ValueError("renew the sink's credential, the expiry, or both")

    @classmethod
    def of(
        cls, *, expire_time: datetime | None = None, credential: SinkCredential | PrivateKeyJwt | None = None
    ) -> "DeviceSubscriptionUpdate":
        """The same, without the nesting."""
        config = None if expire_time is None else ConfigUpdate(subscription_expire_time=expire_time)
        return cls(sink_credential=credential, config=config)
