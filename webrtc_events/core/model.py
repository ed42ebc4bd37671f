"""The values that travel through the service. No I/O, no clock, no store."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final, Self

import msgspec

__all__ = [
    "Caller",
    "Claim",
    "ContractVersion",
    "Credential",
    "DeviceAudience",
    "EventType",
    "InitialEvent",
    "ListedSubscription",
    "NetworkEvent",
    "OutboxItem",
    "OutboxKind",
    "OwnedSubscription",
    "PrivateKeyJwt",
    "ReaderToken",
    "Registration",
    "SessionState",
    "SinkCredential",
    "Status",
    "Subscription",
    "TerminationReason",
]

_PREFIX = "org.camaraproject.webrtc-events.v0."


class EventType(StrEnum):
    """Source: webrtc-events.yaml, CloudEvent.discriminator."""

    SESSION_INVITATION = _PREFIX + "session-invitation"
    SESSION_STATUS = _PREFIX + "session-status"
    REGISTRATION_ENDS = _PREFIX + "registration-ends"
    SUBSCRIPTION_ENDED = _PREFIX + "subscription-ended"


class ContractVersion(StrEnum):
    """The versions of the public contract; a subscription keeps the one that it was made under."""

    V0_2 = "v0.2"
    V0_3 = "v0.3"
    NEXT = "next"
    """Of releases up to 0.2: version 0.2 with notifications in its strict form. No new ones are made."""


class TerminationReason(StrEnum):
    """Source: webrtc-events.yaml, TerminationReason."""

    MAX_EVENTS_REACHED = "MAX_EVENTS_REACHED"
    NETWORK_TERMINATED = "NETWORK_TERMINATED"
    SUBSCRIPTION_EXPIRED = "SUBSCRIPTION_EXPIRED"
    ACCESS_TOKEN_EXPIRED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105 - a reason, no token
    SUBSCRIPTION_DELETED = "SUBSCRIPTION_DELETED"


class Status(StrEnum):
    """Of a subscription. Source: webrtc-events.yaml, Subscription.status."""

    ACTIVATION_REQUESTED = "ACTIVATION_REQUESTED"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    INACTIVE = "INACTIVE"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the access token says it.

    `subject` is None under a two-legged token (no `sub`, or `sub` is the client itself).
    `is_user`: the token names a user alone, who is taken for the client.
    """

    client: str
    subject: str | None
    scopes: frozenset[str]
    is_user: bool = False


@dataclass(frozen=True, slots=True)
class ReaderToken:
    """What a reader of a channel came with; nobody has compared it yet."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """A sink's bearer token. Its repr never shows the token."""

    access_token: str = field(repr=False)
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """Where tokens for a sink are had, and as whose client. No secret, and nobody else's business either.

    Source: OpenID Connect Core, 9, `private_key_jwt`; CAMARA Commonalities, PrivateKeyJWTCredential.
    """

    client_id: str = field(repr=False)
    token_uri: str = field(repr=False)

    @property
    def expires_at_ms(self) -> None:
        """Never: each token that is had by it does."""
        return None


SinkCredential = Credential | PrivateKeyJwt
"""What a client gives for its sink."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription, to a registration or, under 0.3, to a device.

    `request` is the client's request without `sinkCredential`, as sent. `session` is the
    mediaSessionId of a session-status subscription to a registration, else None. Times in ms since the epoch.
    `types` are the event types that it asks for, none for `type` alone, which is the first of them. `device`
    is a deviceId in lower case; then `registration` is ''.
    `contract` is a `ContractVersion`, or the name of one that this process does not know. `origin` is
    the name under which its sink is asked whether it agrees, None if it is not asked. `fetches_token`: its
    credential is a `PrivateKeyJwt`.
    """

    id: str
    client: str
    subject: str | None
    type: EventType
    registration: str
    session: str | None
    request: dict[str, Any]
    starts_at_ms: int
    expires_at_ms: int | None
    max_events: int | None
    status: Status = Status.ACTIVE
    credential: SinkCredential | None = None
    initial_event: bool = False
    contract: str = ContractVersion.V0_2
    origin: str | None = None
    types: tuple[EventType, ...] = ()
    device: str | None = None
    fetches_token: bool = False

    def __post_init__(self) -> None:
        if not self.types:
            object.__setattr__(self, "types", (self.type,))

    @property
    def routing_key(self) -> str:
        """By which its partition is found: its device, or its registration."""
        return self.device or self.registration

    @property
    def token_expires_at_ms(self) -> int | None:
        """When its sink's token expires; None if it was given none."""
        return None if self.credential is None else self.credential.expires_at_ms


class OwnedSubscription(msgspec.Struct, frozen=True):
    """Whose a `Subscription` is, and whether it is still there. It is made very often."""

    id: str
    client: str
    subject: str | None
    contract: str
    status: Status

    @classmethod
    def of(cls, subscription: Subscription) -> Self:
        return cls(*(getattr(subscription, name) for name in cls.__struct_fields__))


class ListedSubscription(OwnedSubscription, frozen=True):
    """What of a `Subscription` its client is shown, too."""

    request: dict[str, Any]
    starts_at_ms: int
    expires_at_ms: int | None
    fetches_token: bool

    def __repr__(self) -> str:
        # The request names its registration.
        return f"ListedSubscription(id={self.id!r}, status={self.status!r})"


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration that the gateway published. Source: network-events.yaml, Registration."""

    id: str
    device: str
    owner: str
    subject: str | None
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class DeviceAudience:
    """Whom an event is for by a device: the `owner` of the registrations of it that the event concerns.

    `subjects` are those of these registrations, '' for one that names nobody: it is for any subject.
    """

    device: str
    owner: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkEvent:
    """A valid event of the gateway, ready to be matched.

    It is routed by `registration`, a session-status by `session` and by `registration` if
    it has one. `involved` are the registrations that its session is known to involve, none
    if nothing is known. `numbered`: the gateway gave a sequenceNumber. `last`: it is a
    status after which its session has no other. `payload` is the JSON text kept in the
    outbox: type, time and data. With `audience` it is for subscriptions to a device, and for no others.
    """

    id: str
    source: str
    type: EventType
    registration: str | None
    session: str | None
    time_ms: int
    numbered: bool
    last: bool
    payload: str = field(repr=False)
    involved: tuple[str, ...] = ()
    audience: DeviceAudience | None = None

    @property
    def name(self) -> str:
        """What makes it this event and no other (CloudEvents: source and id)."""
        name = f"{self.source} {self.id}"
        if self.audience is None:
            return name
        # No URI begins so.
        return f"<{self.audience.device}> {self.audience.owner} {name}"


@dataclass(frozen=True, slots=True)
class SessionState:
    """What is known of a media session: its registrations and its latest status, if any."""

    registrations: frozenset[str]
    latest: "InitialEvent | None"

    def is_of_others(self, registration: str) -> bool:
        """Whether it is known to involve other registrations only: nobody listens in."""
        return bool(self.registrations) and registration not in self.registrations

    @property
    def is_over(self) -> bool:
        """Whether it has had its last status."""
        return self.latest is not None and self.latest.last


@dataclass(frozen=True, slots=True)
class InitialEvent:
    """The latest state, as an event for a subscription that wishes it (config.initialEvent).

    From `until_ms` on, by the time of its partition, it is news no more.
    """

    name: str
    payload: str = field(repr=False)
    numbered: bool
    last: bool
    time_ms: int = 0
    registration_ended: bool = False
    until_ms: int | None = None


class OutboxKind(IntEnum):
    """What an entry of an outbox stands for. Source: lua/shared/outboxes.lua."""

    EVENT = 0
    END = 1
    HANDSHAKE = 2


class _Typed(msgspec.Struct):
    type: str


_decode_typed: Final = msgspec.json.Decoder(_Typed).decode


class OutboxItem(msgspec.Struct, frozen=True):
    """What is to be done next at a subscription's sink, numbered from 1.

    An event to deliver, the subscription-ended, or the question whether the sink agrees.
    `sequence` is the sequenceNumber to give it, 0 if it has its own or none. `first_number` is
    the outbox number that a redelivered one had at first. `size`: the bytes of its entry, with its payload.
    """

    number: int
    kind: OutboxKind
    accepted_ms: int
    deadline_ms: int
    sequence: int
    payload: str
    first_number: int | None = None
    size: int = 0

    def __repr__(self) -> str:
        # The payload is the subscriber's.
        return f"OutboxItem(number={self.number}, kind={self.kind!r}, size={self.size})"

    @property
    def end(self) -> bool:
        return self.kind is OutboxKind.END

    @property
    def payload_type(self) -> str:
        """The `type` that its payload has; '' where that cannot be read."""
        try:
            return _decode_typed(self.payload).type
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return ""

    @property
    def event_number(self) -> int:
        """The number in the event's id; it stays when the event is redelivered."""
        return self.number if self.first_number is None else self.first_number


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on the head of one subscription's outbox.

    `fence` is compared at settle: only the latest claim may write. `attempts` counts the
    failed attempts of the first item. `now_ms` and `lease_until_ms` are the store's time.
    `credential` is still sealed. `end_once`: a subscription-ended is not tried again. `contract`:
    see `Subscription`. `origin` is the name under which the sink is asked, '' if it is not; `rate` the
    notifications a minute that it allows, None if it named no limit. `client` is the subscription's owner.
    `registration` and `session` are what the subscription is to, '' for no session, or `device`, which is ''
    for a subscription to a registration.
    """

    subscription_id: str
    fence: int
    now_ms: int
    lease_until_ms: int
    sink: str
    headers: dict[str, str] = field(repr=False)
    credential: str | None = field(repr=False)
    attempts: int
    end_once: bool
    contract: str
    origin: str
    rate: int | None
    client: str
    items: tuple[OutboxItem, ...]
    registration: str = ""
    session: str = ""
    device: str = ""
