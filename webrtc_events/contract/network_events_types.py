# Generated from the contract by `make types`; do not edit.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


XCorrelator: TypeAlias = str


class ErrorInfo(TypedDict):
    """
    The one shape of every error.
    """

    status: int
    code: str
    message: str


NetworkEventBatch: TypeAlias = list[Any]
"""
Several events. The entries are left open here on purpose: each is validated against `NetworkEvent` by itself,
and one that is not valid is answered `rejected` without stopping the others.

"""


class NetworkLocationConfidence(TypedDict):
    """
    How likely it is that the party is in the area.
    """

    pdf: NotRequired[Literal["normal", "uniform"]]
    value: NotRequired[float]


NetworkLatitude: TypeAlias = float


NetworkLongitude: TypeAlias = float


NetworkLength: TypeAlias = float


NetworkAddress: TypeAlias = str


NetworkSessionState: TypeAlias = Literal[
    "Initial",
    "InProgress",
    "Ringing",
    "Proceeding",
    "Connected",
    "Terminated",
    "Hold",
    "Resume",
    "SessionCancelled",
    "Declined",
    "Failed",
    "Waiting",
    "NoAnswer",
    "NotReachable",
    "Busy",
]


class NetworkSdp(TypedDict):
    """
    One side's description of its media.
    """

    sdp: NotRequired[str]


NetworkRegistrationId: TypeAlias = str


class EventResult(TypedDict):
    """
    What became of one event.
    """

    id: NotRequired[str]
    status: Literal["accepted", "duplicate", "rejected"]
    subscriptions: int
    message: NotRequired[str]


class Registration(TypedDict):
    """
    To whom a registration belongs, and until when it lasts.
    """

    deviceId: str
    owner: str
    subject: NotRequired[str]
    expiresAt: NotRequired[str]


class RegistrationResource(Registration):
    """
    A registration as the service knows it.
    """

    registrationId: NetworkRegistrationId


class NetworkEvent(TypedDict):
    """
    Something that happened on the network, a CloudEvent 1.0 in JSON; `type` says which schema it follows.

    """

    id: str
    source: str
    specversion: Literal["1.0"]
    type: Literal[
        "org.camaraproject.webrtc-events.v0.session-invitation",
        "org.camaraproject.webrtc-events.v0.session-status",
        "org.camaraproject.webrtc-events.v0.registration-ends",
    ]
    time: str
    datacontenttype: NotRequired[Literal["application/json"]]
    subject: NotRequired[NetworkRegistrationId]
    data: dict[str, Any]


class NetworkLocation(TypedDict):
    """
    Where the party is that this event comes from, if the network knows it: a circle or an ellipsoid. The words are
    those of PIDF-LO (RFC 4119, RFC 5491, 3GPP TS 24.229). It is passed on to subscribers of version 0.3 as it is, and
    goes to no others. Give it only where the person agreed.

    """

    shape: Literal["Circle", "Ellipsoid"]
    coordinates: dict[str, Any]
    method: NotRequired[Literal["GPS", "DBH", "DBH_HELO", "Other"]]
    confidence: NotRequired[NetworkLocationConfidence]
    timestamp: NotRequired[str]


class NetworkCircleCoordinates(TypedDict):
    """
    A centre and a radius. No other member is taken, so that a shape is what it says it is.
    """

    latitude: NetworkLatitude
    longitude: NetworkLongitude
    radius: NetworkLength


class NetworkEllipsoidCoordinates(TypedDict):
    """
    A centre in space, three axes and where the longest points. No other member is taken.
    """

    latitude: NetworkLatitude
    longitude: NetworkLongitude
    zAxis: float
    semiMajorAxis: NetworkLength
    semiMinorAxis: NetworkLength
    verticalAxis: NetworkLength
    orientation: float


class NetworkRegistrationEndsData(TypedDict):
    """
    Which registration ended, and why. `subscriptionId` must be absent, as it is the service's to give.

    """

    registrationId: NetworkRegistrationId
    terminationReason: Literal["NETWORK_TERMINATED", "REGISTRATION_EXPIRED"]
    terminationDescription: NotRequired[str]


class PublishResult(TypedDict):
    """
    What became of the events.
    """

    results: list[EventResult]


class NetworkRegistrationEnds(NetworkEvent):
    """
    A registration has ended. `subject` may be left out; if it is given, it equals `data.registrationId`, or the
    event is not valid.

    """

    type: Literal["org.camaraproject.webrtc-events.v0.registration-ends"]
    data: NetworkRegistrationEndsData


class NetworkCircle(NetworkLocation):
    """
    A location that is a circle on the ground.
    """

    shape: Literal["Circle"]
    coordinates: NetworkCircleCoordinates


class NetworkEllipsoid(NetworkLocation):
    """
    A location that is an ellipsoid in space.
    """

    shape: Literal["Ellipsoid"]
    coordinates: NetworkEllipsoidCoordinates


class NetworkMediaSession(TypedDict):
    """
    A call between two parties, as far as the event tells of it. `subscriptionId` must be absent, as it is the
    service's to give.

    """

    originatorAddress: NotRequired[NetworkAddress]
    originatorName: NotRequired[str]
    receiverAddress: NotRequired[NetworkAddress]
    receiverName: NotRequired[str]
    status: NotRequired[NetworkSessionState]
    offer: NotRequired[NetworkSdp]
    answer: NotRequired[NetworkSdp]
    clientCorrelator: NotRequired[str]
    mediaSessionId: str
    callObjectRef: NotRequired[str]
    serverCorrelator: NotRequired[str]
    offerRequired: NotRequired[bool]
    reason: NotRequired[str]
    sequenceNumber: NotRequired[int]
    locationDetails: NotRequired[NetworkCircle | NetworkEllipsoid]


class NetworkInvitationData(NetworkMediaSession):
    """
    What session-invitation tells; the session, both parties and the status at least.
    """

    originatorAddress: NetworkAddress
    receiverAddress: NetworkAddress
    status: NetworkSessionState


class NetworkStatusData(NetworkMediaSession):
    """
    What session-status tells; the session and its status at least.
    """

    status: NetworkSessionState


class NetworkSessionInvitation(NetworkEvent):
    """
    A call comes in for the registration that `subject` names.
    """

    type: Literal["org.camaraproject.webrtc-events.v0.session-invitation"]
    data: NetworkInvitationData
    subject: NetworkRegistrationId


class NetworkSessionStatus(NetworkEvent):
    """
    A media session changed. It goes to the subscriptions to `data.mediaSessionId`, and to those to the device of the
    registration that `subject` names. A gateway that speaks for one leg of the session names its registration there:
    then only the subscriptions of that registration and of its device get it. For an outgoing call `subject` is
    necessary: nothing else leads from the session to the caller's device.

    """

    type: Literal["org.camaraproject.webrtc-events.v0.session-status"]
    data: NetworkStatusData


NetworkEventOrBatch: TypeAlias = (
    NetworkSessionInvitation | NetworkSessionStatus | NetworkRegistrationEnds | NetworkEventBatch
)
