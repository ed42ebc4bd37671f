"""Values of the contract: what notifications say, as frozen dataclasses, the same for each version.

Source: spec/webrtc-events.yaml and spec/webrtc-events-subscriptions.yaml, CloudEvent and its children. A
status or a reason is a member of its enumeration if it is known, and plain text if not: later versions of
the contract may have more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = [
    "CircleCoordinates",
    "ContractVersion",
    "EllipsoidCoordinates",
    "EventKind",
    "EventType",
    "LocationConfidence",
    "LocationDetails",
    "LocationMethod",
    "LocationShape",
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


class ContractVersion(StrEnum):
    """The versions of the contract. Each has names of its own for the types of events."""

    V0_2 = "v0.2"
    V0_3 = "v0.3"


class EventKind(StrEnum):
    """What a notification tells of, whatever the version of the contract: the end of its `type`."""

    SESSION_INVITATION = "session-invitation"
    SESSION_STATUS = "session-status"
    REGISTRATION_ENDS = "registration-ends"
    SUBSCRIPTION_ENDED = "subscription-ended"

    def wire_type(self, version: ContractVersion) -> str:
        """The `type` that the version has for it."""
        return _PREFIXES[version] + self.value


_PREFIXES = {
    ContractVersion.V0_2: "org.camaraproject.webrtc-events.v0.",
    ContractVersion.V0_3: "org.camaraproject.webrtc-events-subscriptions.v0.",
}
_BY_TYPE = {kind.wire_type(version): (kind, version) for version in ContractVersion for kind in EventKind}


class EventType(StrEnum):
    """The `type` of the notifications of 0.2. `EventKind` names them for every version."""

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


class LocationShape(StrEnum):
    CIRCLE = "Circle"
    ELLIPSOID = "Ellipsoid"


class LocationMethod(StrEnum):
    """How a location was found."""

    GPS = "GPS"
    DBH = "DBH"
    DBH_HELO = "DBH_HELO"
    OTHER = "Other"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircleCoordinates:
    """A centre in degrees (WGS 84), and a radius in meters."""

    latitude: float
    longitude: float
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EllipsoidCoordinates:
    """A centre in degrees (WGS 84) with its altitude; the axes in meters; the orientation in degrees."""

    latitude: float
    longitude: float
    z_axis: float
    semi_major_axis: float
    semi_minor_axis: float
    vertical_axis: float
    orientation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationConfidence:
    """`value` is in percent; `pdf` names the probability density function, `normal` or `uniform`."""

    pdf: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LocationDetails:
    """Where the party is whose action the event tells of. It is personal data, and has no repr.

    `coordinates` is None where there are none, or of a shape that is not known here. Source:
    webrtc-events-subscriptions.yaml, LocationDetails.
    """

    shape: LocationShape | str | None = None
    coordinates: CircleCoordinates | EllipsoidCoordinates | None = None
    method: LocationMethod | str | None = None
    confidence: LocationConfidence | None = None
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSession:
    """A call, as far as a notification tells of it. `offer` and `answer` are SDP (RFC 8866).

    Only 0.3 has `location_details`.
    """

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
    location_details: LocationDetails | None = field(default=None, repr=False)


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

    @property
    def kind(self) -> EventKind | None:
        """What it tells of, the same for each version; None if `type` is not known."""
        kind, _ = _BY_TYPE.get(self.type, (None, None))
        return kind

    @property
    def version(self) -> ContractVersion | None:
        """Under which version its subscription was made; None if `type` is not known."""
        _, version = _BY_TYPE.get(self.type, (None, None))
        return version


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInvitation(Notification):
    """A call comes in; both addresses and the status are there."""

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
