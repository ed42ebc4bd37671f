"""Subscriptions of the contract 0.2, each to a registration: what a client asks for, and what is kept.

Source: webrtc-events.yaml, components.schemas. Times are aware `datetime` values. None stands for a member
that is absent. No `repr` shows a secret.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

__all__ = [
    "Config",
    "ConfigUpdate",
    "HttpSettings",
    "KeptSubscription",
    "Limits",
    "SinkCredential",
    "Subscription",
    "SubscriptionDetail",
    "SubscriptionRequest",
    "SubscriptionStatus",
    "SubscriptionType",
    "Value",
]


class SubscriptionType(StrEnum):
    """The types of event that can be subscribed to."""

    SESSION_INVITATION = "org.camaraproject.webrtc-events.v0.session-invitation"
    SESSION_STATUS = "org.camaraproject.webrtc-events.v0.session-status"
    REGISTRATION_ENDS = "org.camaraproject.webrtc-events.v0.registration-ends"


class SubscriptionStatus(StrEnum):
    """Where a subscription stands. EXPIRED and DELETED are ends."""

    ACTIVATION_REQUESTED = "ACTIVATION_REQUESTED"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"


class Value(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Members are in camel case on the wire. Those that the contract does not know are passed over.

    A default is left out of the JSON; what must be there has a `default_factory` instead, which is not.
    """


class SinkCredential(Value, frozen=True):
    """A bearer token for the sink. The service never returns it.

    `access_token_expires_utc`: the subscription ends shortly before.
    """

    access_token: str
    access_token_expires_utc: datetime
    credential_type: Literal["ACCESSTOKEN"] = msgspec.field(default_factory=lambda: "ACCESSTOKEN")
    access_token_type: Literal["bearer"] = msgspec.field(default_factory=lambda: "bearer")

    def __repr__(self) -> str:
        return (
            f"SinkCredential(access_token='***', access_token_expires_utc={self.access_token_expires_utc!r})"
        )


class HttpSettings(Value, frozen=True):
    """How notifications are posted. `headers` come with each of them; their values may be secret, and have
    no repr.
    """

    headers: Mapping[str, str] = {}
    method: Literal["POST"] | None = None

    def __repr__(self) -> str:
        return f"HttpSettings(headers={dict.fromkeys(self.headers, '***')!r}, method={self.method!r})"


class SubscriptionDetail(Value, frozen=True):
    """The registration, and for session-status the media session, whose events are wanted.

    `session_id` is what an invitation calls `mediaSessionId`.
    """

    registration_id: str
    session_id: str | None = None
    device_id: str | None = None


class Limits(Value, frozen=True):
    """When a subscription ends: never by itself, if nothing is given."""

    subscription_expire_time: datetime | None = None
    subscription_max_events: int | None = None
    initial_event: bool | None = None


class Config(Limits, frozen=True, kw_only=True):
    """What the subscription is about, and when it ends."""

    subscription_detail: SubscriptionDetail


class SubscriptionRequest(Value, frozen=True):
    """What a client asks for. `sink` is an HTTPS URL."""

    sink: str
    types: tuple[SubscriptionType]
    config: Config
    protocol: Literal["HTTP"] = msgspec.field(default_factory=lambda: "HTTP")
    protocol_settings: HttpSettings | None = None
    sink_credential: SinkCredential | None = None

    @classmethod
    def to(
        cls,
        event_type: SubscriptionType,
        *,
        sink: str,
        registration_id: str,
        session_id: str | None = None,
        device_id: str | None = None,
        expire_time: datetime | None = None,
        max_events: int | None = None,
        initial_event: bool | None = None,
        headers: Mapping[str, str] | None = None,
        credential: SinkCredential | None = None,
    ) -> "SubscriptionRequest":
        """The same, without the nesting. session-status needs `session_id`."""
        return cls(
            sink=sink,
            types=(event_type,),
            config=Config(
                subscription_detail=SubscriptionDetail(
                    registration_id=registration_id, session_id=session_id, device_id=device_id
                ),
                subscription_expire_time=expire_time,
                subscription_max_events=max_events,
                initial_event=initial_event,
            ),
            protocol_settings=None if headers is None else HttpSettings(headers=headers),
            sink_credential=credential,
        )


class KeptSubscription(Value, frozen=True):
    """What a subscription has under each contract, as the service keeps it.

    `types` and `status` are plain texts, equal to members of their enumerations: a later contract may have
    more. After a create that the service carries out later (202), only `id` and the request are known, and
    `status` is ACTIVATION_REQUESTED.
    """

    id: str
    sink: str
    types: tuple[str, ...]
    protocol: str = "HTTP"
    protocol_settings: HttpSettings | None = None
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    status: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in (SubscriptionStatus.EXPIRED, SubscriptionStatus.DELETED)


class Subscription(KeptSubscription, frozen=True, kw_only=True):
    """A subscription to a registration, as the service keeps it."""

    config: Config


class ConfigUpdate(Value, frozen=True):
    """The part of `config` that can change, under 0.3. Source: SubscriptionUpdateConfig."""

    subscription_expire_time: datetime
