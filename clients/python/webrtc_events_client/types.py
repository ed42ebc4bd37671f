"""Values of the contract: what notifications say, as frozen dataclasses.

Source: spec/webrtc-events.yaml, CloudEvent and its children. A status or a reason is a member of its
enumeration if it is known, and plain text if not: later versions of the contract may have more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = [
    "EventType",
    "MediaSession",
    "Notification",
    "RegistrationEnds",
    "RegistrationTerminationReason",
    "SessionInvitation",
    "SessionState",
    "SessionStatus",
    "SubscriptionEnded",
    "TerminationReason",
    "UnknownNotification",
]


class EventType(StrEnum):
    """The `type` of the notifications that are known here."""

    SESSION_INVITATION = "org.camaraproject.webrtc-events.v0.session-invitation"
    SESSION_STATUS = "org.camaraproject.webrtc-events.v0.session-status"
    REGISTRATION_ENDS = "org.camaraproject.webrtc-events.v0.registration-ends"
    SUBSCRIPTION_ENDED = "org.camaraproject.webrtc-events.v0.subscription-ended"


class SessionState(StrEnum):
    """Where a call stands. Source: MediaSession.status."""

    INITIAL = "Initial"
    IN_PROGRESS = "InProgress"
    PROCEEDING = "Proceeding"
    RINGING = "Ringing"
    WAITING = "Waiting"
    CONNECTED = "Connected"
    HOLD = "Hold"
    RESUME = "Resume"
    TERMINATED = "Terminated"
    SESSION_CANCELLED = "SessionCancelled"
    DECLINED = "Declined"
    BUSY = "Busy"
    NO_ANSWER = "NoAnswer"
    NOT_REACHABLE = "NotReachable"
    FAILED = "Failed"


class TerminationReason(StrEnum):
    """Why a subscription ended."""

    MAX_EVENTS_REACHED = "MAX_EVENTS_REACHED"
    NETWORK_TERMINATED = "NETWORK_TERMINATED"
    SUBSCRIPTION_EXPIRED = "SUBSCRIPTION_EXPIRED"
    ACCESS_TOKEN_EXPIRED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105 (a reason, and no token)
    SUBSCRIPTION_DELETED = "SUBSCRIPTION_DELETED"


class RegistrationTerminationReason(StrEnum):
    """Why a registration ended."""

    NETWORK_TERMINATED = "NETWORK_TERMINATED"
    REGISTRATION_EXPIRED = "REGISTRATION_EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSession:
    """A call, as far as a notification tells of it. `offer` and `answer` are SDP (RFC 8866)."""

    media_session_id: str
    status: SessionState | str | None = None
    sequence_number: int | None = None
    subscription_id: str | None = None
    originator_address: str | None = None
    originator_name: str | None = None
    receiver_address: str | None = None
    receiver_name: str | None = None
    offer: str | None = field(default=None, repr=False)
    answer: str | None = field(default=None, repr=False)
    offer_required: bool | None = None
    reason: str | None = None
    client_correlator: str | None = None
    server_correlator: str | None = None
    call_object_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What every notification has. `source` and `id` together identify the event; it may come again.

    `time` has its zone. `raw` is the whole CloudEvent, with the members that have no field here.
    """

    id: str
    source: str
    type: str
    time: datetime
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInvitation(Notification):
    """A call comes in for the registration; both addresses and the status are there."""

    session: MediaSession


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus(Notification):
    """A media session changed: its status, which is there, or the SDP of one side."""

    session: MediaSession


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationEnds(Notification):
    """The registration has ended; no more calls arrive for it."""

    registration_id: str
    reason: RegistrationTerminationReason | str
    description: str | None = None
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEnded(Notification):
    """The subscription has ended; nothing follows. All is None where there is no `data`."""

    subscription_id: str | None = None
    reason: TerminationReason | str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownNotification(Notification):
    """A CloudEvent of a type that this version does not know; `data` is as it came, None if there is none."""

    data: Any = None
